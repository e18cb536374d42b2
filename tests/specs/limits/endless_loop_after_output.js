// expect: timed_out
// output: "first\n"
// limits: timeout_secs=1
console.log("first"); while (true) {}
