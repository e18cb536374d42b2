// expect: completed "undefined"
// output: "1 -0 1.5 NaN Infinity 10n true null undefined Symbol(s) Symbol() Symbol(Symbol.iterator)\n"
console.log(1, -0, 1.5, NaN, Infinity, 10n, true, null, undefined, Symbol("s"), Symbol(), Symbol.iterator)
