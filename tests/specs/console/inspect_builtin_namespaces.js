// expect: completed "undefined"
// output: "Object [Math] {} Object [JSON] {} Object [Reflect] {} Object [Atomics] {}\n"
console.log(Math, JSON, Reflect, Atomics)
