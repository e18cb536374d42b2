// expect: completed ""
// output: "{ a: 1, b: [Getter] }\n"
const seen = [];
function spy() { try { seen.push(spy.caller, spy.arguments?.callee?.caller) } catch (e) { seen.push(null) } }
await new Promise(r => setTimeout(function f() { seen.push(f.caller); r() }, 0));
const t = new EventTarget(); t.addEventListener("x", spy); t.dispatchEvent(new Event("x"));
new ReadableStream({ start: spy, pull: spy, cancel: spy });
console.log(Object.defineProperty({ a: 1 }, "b", { get: spy, enumerable: true }));
queueMicrotask(spy); await null; await null;
new URL({ toString: function f() { seen.push(f.caller); return "a:b" } });
structuredClone(Object.defineProperty({}, "a", { get: spy, enumerable: true }));
seen.filter(x => x != null).map(String).join("|")
