// expect: failed exception
// output: "dispatched\n"
// error: "Error: listener"
// Exceptions of listeners are reported, not thrown: https://dom.spec.whatwg.org/#report-the-exception
const t = new EventTarget(); t.addEventListener("x", () => { throw new Error("listener") }); t.dispatchEvent(new Event("x")); console.log("dispatched")
