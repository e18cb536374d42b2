// expect: completed "undefined"
// output: "a\n"
// output: "b\n"
console.log("a"); console.clear(); console.log("b")
