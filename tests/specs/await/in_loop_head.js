// expect: completed "ab"
let s = ""; for (const c of await Promise.resolve(["a", "b"])) s += c; s
