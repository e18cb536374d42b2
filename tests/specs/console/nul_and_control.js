// expect: completed "undefined"
// output: "a\u0000b\u001b[31m\n"
// A string goes out as it is.
console.log("a\0b\x1b[31m")
