// expect: failed exception
// error: "Uncaught { code: 5 }"
let a = 1;
  throw { code: 5 }
