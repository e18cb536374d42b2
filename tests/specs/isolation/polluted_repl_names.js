// expect: completed "4"
for (const k of [".repl_result", "repl_result", "value", "done", "promise"]) Object.defineProperty(Object.prototype, k, { __proto__: null, get() { return "hijacked" }, set() { console.log("set " + k) }, configurable: true });
const x = await 3; x + 1
