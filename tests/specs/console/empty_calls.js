// expect: completed "undefined"
// output: "\n"
// output: "[INFO] \n"
// output: "[ERROR] \n"
console.log(); console.info(); console.error("")
