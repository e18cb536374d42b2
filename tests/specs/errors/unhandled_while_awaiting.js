// expect: failed unhandled_rejection
// error: "Error: aside"
Promise.reject(new Error("aside")); await new Promise(r => setTimeout(r, 50)); "never"
