// expect: timed_out
// output: "x\n"
// limits: timeout_secs=1
console.log("x"); for (const x of (function* () { for (;;) yield })());
