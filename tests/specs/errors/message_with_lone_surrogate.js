// expect: failed exception
// error: "Error: a�b"
throw new Error("a\udc00b")
