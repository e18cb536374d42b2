// expect: completed "0"
// output: "t1\n"
// output: "m1\n"
// output: "t2\n"
setTimeout(() => { console.log("t1"); Promise.resolve().then(() => console.log("m1")) }, 1);
setTimeout(() => console.log("t2"), 1);
0
