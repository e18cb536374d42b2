// expect: completed "in"
Promise.resolve(Promise.resolve("in"))
