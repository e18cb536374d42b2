// expect: completed "2"
const t = [1, 2] as const; t.length
