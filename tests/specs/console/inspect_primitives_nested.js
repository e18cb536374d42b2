// expect: completed "undefined"
// output: "[ 1, -0, 10n, true, null, undefined, Symbol(s), \"s\" ] { a: undefined, b: null }\n"
console.log([1, -0, 10n, true, null, undefined, Symbol("s"), "s"], { a: undefined, b: null })
