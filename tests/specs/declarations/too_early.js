// expect: failed exception
// error: "ReferenceError:"
// error: "early"
// error: "<anonymous>:5:1"
early;
let early = 1
