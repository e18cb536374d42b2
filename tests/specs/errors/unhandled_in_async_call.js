// expect: failed unhandled_rejection
// error: "Error: nobody waits"
// error: "at f (<anonymous>:4:28)"
async function f() { throw new Error("nobody waits") }
f(); 1
