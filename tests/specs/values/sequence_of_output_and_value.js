// expect: completed "value"
// output: "first\n"
console.log("first"); "value"
