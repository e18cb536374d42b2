// expect: completed "undefined"
// output: "{ a: 1 }\n"
// output: "0\n"
const seen = []
console.log(new Proxy({ a: 1 }, { get(t, k) { seen.push(k); return t[k] }, ownKeys(t) { seen.push("ownKeys"); return Reflect.ownKeys(t) } }))
console.log(seen.length)
