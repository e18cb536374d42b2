// expect: completed "undefined"
// output: "{ a: 1, [h]: 2 }\n"
// output: "{ a: [Getter] { x: 1 } }\n"
console.dir(Object.defineProperty({ a: 1 }, "h", { value: 2 }), { showHidden: true })
console.dir({ get a() { return { x: 1 } } }, { getters: true })
