// expect: completed "undefined"
// output: "free\n"
// output: "[WARN] 1 0 [ 1, 2 ]\n"
// output: "[WARN] 2 1 [ 1, 2 ]\n"
const { log, warn } = console; log("free"); [1, 2].forEach(warn)
