// expect: failed exception
// error: "Uncaught [ 1, 2 ]"
let a = 1;
  throw [1, 2]
