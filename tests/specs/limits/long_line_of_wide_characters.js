// expect: completed "undefined"
// output: 300001 bytes
// Cut into chunks between characters.
console.log("€".repeat(100_000))
