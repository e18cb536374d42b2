// expect: failed exception
// error: "TypeError: refused"
// error: "<anonymous>:4:22"
await Promise.reject(new TypeError('refused'))
