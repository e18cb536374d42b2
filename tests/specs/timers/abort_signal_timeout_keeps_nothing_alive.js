// expect: completed "at once"
// limits: timeout_secs=10
AbortSignal.timeout(60_000); "at once"
