// expect: failed unhandled_rejection
// error: "Error: from timer"
setTimeout(() => { Promise.reject(new Error("from timer")) }, 1)
