// expect: failed exception
// error: "TypeError: Cannot read properties of undefined (reading 'c')"
// error: "<anonymous>:8:4"
const o = { a: {} };
o
  .a
  .b
  .c;
