// expect: completed "undefined"
// output: " red { a: 1 }\n"
// output: "[ERROR] Map(1) { \"k\" => \"v\" }\n"
console.log("%c red", "color: red", { a: 1 }); console.error(new Map([["k", "v"]]))
