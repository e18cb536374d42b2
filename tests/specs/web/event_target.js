// expect: completed "1true,2d,2e,false"
class Bus extends EventTarget {}
const t = new Bus(), seen = [];
t.addEventListener("x", e => seen.push("1" + (e.target === t)), { once: true });
t.addEventListener("x", { handleEvent(e) { seen.push("2" + e.detail); e.preventDefault() } });
const r = t.dispatchEvent(new CustomEvent("x", { detail: "d", cancelable: true }));
t.dispatchEvent(new CustomEvent("x", { detail: "e" }));
[...seen, r].join()
