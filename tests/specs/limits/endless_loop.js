// expect: timed_out
// limits: timeout_secs=1
while (true) {}
