// expect: failed exception
// error: "Uncaught Symbol(sym)"
let a = 1;
  throw Symbol("sym")
