// expect: completed "0"
// output: "a\n"
// output: "b\n"
setTimeout(() => { console.log("a"); setTimeout(() => console.log("b"), 1) }, 1); 0
