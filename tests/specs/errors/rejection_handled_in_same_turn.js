// expect: completed "5"
// output: "caught\n"
const p = Promise.reject(new Error("x")); queueMicrotask(() => p.catch(() => console.log("caught"))); 5
