// expect: failed unhandled_rejection
// error: "undefined"
Promise.reject(); 5
