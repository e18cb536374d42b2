// expect: completed "undefined"
// output: "{ a: 1 } [ 1, 2 ] [Function: f]\n"
console.log(new Proxy({ a: 1 }, {}), new Proxy([1, 2], {}), new Proxy(function f() {}, {}))
