// expect: failed unhandled_rejection
// error: "0"
for (let i = 0; i < 20_000; i++) Promise.reject(i); 1
