// expect: completed "1"
namespace T { export interface I { a: 1 } }
let x: T.I = { a: 1 }; x.a
