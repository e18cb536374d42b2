// expect: failed exception
// error: "ReferenceError: nowhere is not defined"
// error: "<anonymous>:4:16"
let s = "😀é"; nowhere
