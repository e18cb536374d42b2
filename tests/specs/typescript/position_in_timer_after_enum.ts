// expect: failed exception
// error: "Error: timer"
// error: "<anonymous>:6:9"
enum E { A }
setTimeout(() => {
  throw new Error("timer");
}, 1);
