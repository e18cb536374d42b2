// expect: failed exception
// error: "Error: a"
// error: "Error: b"
// error: "the root"
throw new Error("a", { cause: new Error("b", { cause: "the root" }) })
