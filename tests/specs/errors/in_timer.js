// expect: failed exception
// error: "Error: late"
// error: "<anonymous>:4:26"
setTimeout(() => { throw new Error("late") }, 1); 1
