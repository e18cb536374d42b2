// expect: failed exception
// error: "Error: micro"
// error: "<anonymous>:4:30"
queueMicrotask(() => { throw new Error("micro") }); 1
