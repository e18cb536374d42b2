// expect: failed exception
// error_exact: "ReferenceError: nowhere is not defined\n    at <anonymous>:4:5"
let a = 1;
a + nowhere
