// expect: failed exception
// error: "TypeError"
queueMicrotask(1)
