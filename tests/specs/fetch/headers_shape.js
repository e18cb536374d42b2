// expect: completed "0,2,[object Headers],[object Headers Iterator],true,a=1&b=2"
// grants: fetch
const h = new Headers({ b: "2", a: "1" }); let text = "";
h.forEach(function (value, key, all) { text += (text && "&") + key + "=" + value; if (all !== h || this !== globalThis.seen) throw 1 }, globalThis.seen = {});
[Headers.length, h.append.length, String(h), String(h.keys()), Headers.prototype[Symbol.iterator] === Headers.prototype.entries, text].join()
