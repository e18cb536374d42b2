// expect: failed exception
// error: "TypeError: made"
// error: "<anonymous>:5:1"
const f = new Function("a", "throw new TypeError(a)");
f("made")
