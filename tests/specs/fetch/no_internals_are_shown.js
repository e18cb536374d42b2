// expect: completed "function () { [native code] }|true|true"
// grants: fetch
const getter = Object.getOwnPropertyDescriptor(globalThis, "fetch").get; [String(getter).replace(/\s+/g, " "), !("op_fetch_open" in globalThis), Reflect.ownKeys(new Response("x")).every((k) => typeof k === "symbol")].join("|")
