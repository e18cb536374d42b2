// expect: failed exception
// error: "Uncaught null"
let a = 1;
  throw null
