// expect: completed "undefined"
// output: "[ERROR] one\n"
// output: "two\n"
console.error("one\ntwo")
