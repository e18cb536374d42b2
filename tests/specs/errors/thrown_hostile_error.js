// expect: failed exception
const e = new Error("m"); Object.defineProperty(e, "stack", { get() { throw 1 } }); Object.defineProperty(e, "message", { get() { throw 2 } }); throw e
