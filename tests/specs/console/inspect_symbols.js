// expect: completed "undefined"
// output: "{\n"
// output: "  Symbol(s): 1,\n"
// output: "  Symbol(): 2,\n"
// output: "  Symbol(x y): Symbol(v),\n"
// output: "  Symbol(Symbol.iterator): 3\n"
// output: "}\n"
console.log({ [Symbol("s")]: 1, [Symbol()]: 2, [Symbol.for("x y")]: Symbol("v"), [Symbol.iterator]: 3 })
