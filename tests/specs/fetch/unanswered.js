// expect: timed_out
// limits: timeout_secs=1
// grants: fetch
await fetch("http://a.test/")
