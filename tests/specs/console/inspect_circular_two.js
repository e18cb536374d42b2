// expect: completed "undefined"
// output: "<ref *1> { b: { a: [Circular *1] } } [ <ref *2> { a: <ref *1> { b: [Circular *2] } } ]\n"
// output: "<ref *1> [ [Circular *1], [ [Circular *1] ] ]\n"
const a = {}, b = { a }; a.b = b
console.log(a, [b]); const x = []; x.push(x, [x])
console.log(x)
