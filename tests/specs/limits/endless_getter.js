// expect: timed_out
// limits: timeout_secs=1
const o = { toString() { for (;;); } }; o
