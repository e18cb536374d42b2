// expect: failed exception
// error: "TypeError: no"
// error: "<anonymous>:4:16"
Promise.reject(new TypeError("no"))
