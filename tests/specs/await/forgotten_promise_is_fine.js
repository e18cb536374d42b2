// expect: completed "over"
// Nobody waits for that promise.
new Promise(() => {}); "over"
