// expect: failed exception
// error: "TypeError: a is not a function"
// error: "<anonymous>:6:1"
// To JavaScript these are two comparisons; to TypeScript a call with a type argument.
let a = 1, b = 2, c = 0;
a < b > (c)
