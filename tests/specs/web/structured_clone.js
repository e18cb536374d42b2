// expect: completed "true true 0 true /x/gi true m 1,2 1 true"
const a = { d: new Date(0), m: new Map([[1, new Set(["x"])]]), r: /x/gi, e: new RangeError("m"), b: new Uint8Array([1, 2]), n: 1n, u: undefined };
a.self = a;
const c = structuredClone(a);
[c !== a, c.self === c, c.d.getTime(), c.m.get(1).has("x"), String(c.r), c.e instanceof RangeError, c.e.message, [...c.b], c.n, "u" in c].join(" ")
