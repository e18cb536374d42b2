// expect: failed exception
// error: "Uncaught [Function: named]"
let a = 1;
  throw function named() {}
