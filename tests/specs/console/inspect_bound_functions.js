// expect: completed "undefined"
// output: "[Function: bound f] [Function: get g]\n"
console.log(function f() {}.bind(null), Object.getOwnPropertyDescriptor({ get g() { return 1 } }, "g").get)
