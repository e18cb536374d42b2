// expect: failed exception
// error: "TypeError: Assignment to constant variable."
// error: "<anonymous>:5:3"
const a = 1;
a = 2
