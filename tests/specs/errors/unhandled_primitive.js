// expect: failed unhandled_rejection
// error: "just text"
Promise.reject("just text"); 5
