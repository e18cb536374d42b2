// expect: completed "7"
Object.defineProperty(Promise.prototype, "constructor", { get() { throw new Error("polluted") } });
(async () => 7)()
