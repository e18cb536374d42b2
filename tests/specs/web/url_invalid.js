// expect: failed exception
// error: "TypeError: Invalid URL"
// error: "<anonymous>:4:1"
new URL("nonsense")
