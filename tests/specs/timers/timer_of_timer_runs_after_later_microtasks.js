// expect: completed "x"
// output: "after await\n"
// output: "next timer\n"
setTimeout(async () => { await null; console.log("after await"); });
setTimeout(() => console.log("next timer"));
"x"
