// expect: completed "1"
new Map<string, number>([["a", 1]]).get("a")
