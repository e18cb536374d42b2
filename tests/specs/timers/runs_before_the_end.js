// expect: completed "1"
// output: "late\n"
setTimeout(() => console.log("late"), 50); 1
