// expect: completed "undefined"
// output: "{} Object(0) [] Object [Map] {} Object [Promise] {} {} {} [Object: null prototype] {} {}\n"
console.log(class A { m() {} }.prototype, Array.prototype, Map.prototype, Promise.prototype, Date.prototype, RegExp.prototype, Object.prototype, Function.prototype)
