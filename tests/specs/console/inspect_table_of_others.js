// expect: completed "undefined"
// output: "text\n"
// output: "5\n"
// output: "null\n"
// output: "undefined\n"
console.table("text")
console.table(5)
console.table(null)
console.table(undefined)
