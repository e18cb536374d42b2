// expect: completed "undefined"
// output: "[\n"
// output: "  \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n"
// output: "]\n"
// output: "10100\n"
// output: "[ 10100 ]\n"
console.log(["x".repeat(200)])
console.log({ s: "y".repeat(10_100) }.s.length)
console.log(["z".repeat(10_100)].map(s => s.length))
