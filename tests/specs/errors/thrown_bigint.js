// expect: failed exception
// error: "Uncaught 10n"
let a = 1;
  throw 10n
