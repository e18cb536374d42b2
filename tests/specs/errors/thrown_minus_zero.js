// expect: failed exception
// error: "Uncaught -0"
let a = 1;
  throw -0
