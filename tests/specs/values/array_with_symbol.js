// expect: failed unprintable
// error: "Cannot convert a Symbol value to a string"
[Symbol("s")]
