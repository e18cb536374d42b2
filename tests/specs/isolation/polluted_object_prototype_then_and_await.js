// expect: completed "by then"
Object.prototype.then = function (resolve) { delete Object.prototype.then; resolve("by then") };
const r = await {}; r
