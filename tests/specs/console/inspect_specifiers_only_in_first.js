// expect: completed "undefined"
// output: "1 %s x\n"
// output: "no %d 5\n"
// output: "{} %s\n"
console.log(1, "%s", "x")
console.log("no", "%d", 5)
console.log({}, "%s")
