// expect: completed "v"
// output: "m\n"
queueMicrotask(() => console.log("m")); "v"
