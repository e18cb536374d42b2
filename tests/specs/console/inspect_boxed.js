// expect: completed "undefined"
// output: "[Number: 1] [String: \"str\"] [Boolean: true] [BigInt: 10n] [Symbol: Symbol(s)] [ [Number: -0] ] [Number: 1] { a: 1 }\n"
console.log(Object(1), Object("str"), Object(true), Object(10n), Object(Symbol("s")), [Object(-0)], Object.assign(Object(1), { a: 1 }))
