// expect: completed "then"
await { then(resolve) { resolve("then") } }
