// expect: completed 1048576 bytes
"x".repeat(2 ** 20)
