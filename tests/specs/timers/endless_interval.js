// expect: timed_out
// limits: timeout_secs=1
setInterval(() => {}, 10)
