// expect: completed "undefined"
// output: "default: 1\n"
// output: "default: 2\n"
// output: "x: 1\n"
// output: "default: 1\n"
// output: "[WARN] Count for 'no' does not exist\n"
console.count(); console.count(); console.count("x"); console.countReset(); console.count(); console.countReset("no")
