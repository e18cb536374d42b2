// expect: completed "undefined"
// output: "Object [Tag] { a: 1, Symbol(Symbol.toStringTag): \"Tag\" }\n"
// output: "A [T] {}\n"
// output: "[Object: null prototype] [N] { Symbol(Symbol.toStringTag): \"N\" }\n"
console.log({ [Symbol.toStringTag]: "Tag", a: 1 })
console.log(new (class A { get [Symbol.toStringTag]() { return "T" } })())
console.log(Object.assign(Object.create(null), { [Symbol.toStringTag]: "N" }))
