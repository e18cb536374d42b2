// expect: failed exception
// error: "Uncaught false"
let a = 1;
  throw false
