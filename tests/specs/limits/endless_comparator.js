// expect: timed_out
// limits: timeout_secs=1
Array.from({ length: 1e5 }, (_, i) => i).sort(() => { for (;;) {} })
