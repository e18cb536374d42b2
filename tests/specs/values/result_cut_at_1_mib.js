// expect: completed 1048576 bytes
// truncated: result
"x".repeat(2 ** 20 + 1)
