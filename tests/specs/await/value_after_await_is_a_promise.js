// expect: completed "8"
await null; Promise.resolve(8)
