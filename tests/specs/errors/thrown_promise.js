// expect: failed exception
// error: "Promise { 1 }"
throw Promise.resolve(1)
