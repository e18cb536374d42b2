// expect: completed "true"
const seen = [];
function spy() { seen.push(this) }
await new Promise(r => { setTimeout(spy, 0); setTimeout(r, 1) });
queueMicrotask(spy);
new ReadableStream({ start: spy });
const t = new EventTarget(); t.addEventListener("x", spy); t.dispatchEvent(new Event("x"));
await null;
seen.every(x => x === globalThis || x === t || x?.start === spy)
