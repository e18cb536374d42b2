// expect: completed "7"
Promise.prototype.then = () => { throw new Error("polluted") };
Promise.resolve(7)
