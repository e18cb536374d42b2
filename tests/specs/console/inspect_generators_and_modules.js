// expect: completed "undefined"
// output: "Function [GeneratorFunction] {} Function [AsyncFunction] {}\n"
console.log(Object.getPrototypeOf(function* () {}), Object.getPrototypeOf(async () => {}))
