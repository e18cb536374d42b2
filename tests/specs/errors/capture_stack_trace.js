// expect: completed "Mine: m\n    at <anonymous>:4:1"
const o = { name: "Mine", message: "m" };
function hidden() { Error.captureStackTrace(o, hidden) }
hidden();
o.stack
