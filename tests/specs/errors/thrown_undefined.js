// expect: failed exception
// error: "Uncaught undefined"
let a = 1;
  throw undefined
