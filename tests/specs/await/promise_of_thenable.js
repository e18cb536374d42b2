// expect: completed "5"
Promise.resolve({ then(resolve) { resolve(5) } })
