// expect: completed "undefined"
// output: 3000001 bytes
console.log("y".repeat(3_000_000))
