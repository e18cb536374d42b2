// expect: completed "number"
// output: "5\n"
setTimeout((a, b) => console.log(a + b), 1, 2, 3); typeof setTimeout(() => {}, 0)
