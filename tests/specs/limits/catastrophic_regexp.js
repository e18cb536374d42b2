// expect: timed_out
// limits: timeout_secs=1
/^(a+)+$/.test("a".repeat(40) + "!")
