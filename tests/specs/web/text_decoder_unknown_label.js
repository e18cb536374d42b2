// expect: failed exception
// error: "RangeError"
new TextDecoder("utf-7")
