// expect: timed_out
// limits: timeout_secs=1
setTimeout(() => {}, 100_000)
