// expect: completed "1"
const t = new EventTarget(), s = []; t.addEventListener("x", e => { s.push(1); e.stopImmediatePropagation() }); t.addEventListener("x", () => s.push(2)); t.dispatchEvent(new Event("x")); s.join()
