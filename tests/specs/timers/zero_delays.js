// expect: completed "1"
// output: "sync\n"
// output: "micro\n"
// output: "timer\n"
setTimeout(() => console.log("timer"), 0); queueMicrotask(() => console.log("micro")); console.log("sync"); 1
