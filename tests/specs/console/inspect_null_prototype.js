// expect: completed "undefined"
// output: "[Object: null prototype] {}\n"
// output: "[Object: null prototype] { a: 1 }\n"
// output: "[Object: null prototype] { n: [Object: null prototype] {} }\n"
console.log(Object.create(null))
console.log(Object.assign(Object.create(null), { a: 1 }))
console.log({ __proto__: null, n: { __proto__: null } })
