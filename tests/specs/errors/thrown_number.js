// expect: failed exception
// error: "Uncaught 42"
// error: "<anonymous>:5:3"
let a = 1;
  throw 42
