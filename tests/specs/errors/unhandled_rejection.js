// expect: failed unhandled_rejection
// error: "TypeError: lost"
// error: "<anonymous>:4:16"
Promise.reject(new TypeError("lost")); 5
