// expect: timed_out
// limits: timeout_secs=1
(function again() { Promise.resolve().then(again) })()
