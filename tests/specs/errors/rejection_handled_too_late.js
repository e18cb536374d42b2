// expect: failed unhandled_rejection
// error: "Error: too late"
// As in Node and Deno: it was unhandled when the turn ended.
const p = Promise.reject(new Error("too late")); setTimeout(() => p.catch(() => {}), 20); 5
