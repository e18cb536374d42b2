// expect: failed unhandled_rejection
// error: "ReferenceError: nowhere is not defined"
Promise.resolve().then(() => { nowhere }); 5
