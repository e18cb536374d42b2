// expect: completed "5"
// Neither the value nor anything around it is taken for a promise because every object has a then.
Object.prototype.then = function (resolve) { resolve("hijacked") };
5
