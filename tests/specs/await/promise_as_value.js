// expect: completed "7"
Promise.resolve(7)
