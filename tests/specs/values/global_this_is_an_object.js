// expect: completed "object"
typeof globalThis
