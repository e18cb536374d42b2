// expect: completed "last"
await Promise.resolve("last")
