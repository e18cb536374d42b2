// expect: completed "16"
010 + 0o10
