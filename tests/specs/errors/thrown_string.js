// expect: failed exception
// error: "Uncaught \"plain text\""
let a = 1;
  throw "plain text"
