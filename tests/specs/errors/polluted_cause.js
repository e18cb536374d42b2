// expect: failed exception
// error: "TypeError: the message"
// error: "<anonymous>:5:7"
Object.defineProperty(Object.prototype, "cause", { get() { throw new Error("polluted") } });
throw new TypeError("the message")
