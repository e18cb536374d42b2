// expect: completed "undefined"
// output: "Map(3) { \"a\" => 1, { k: 1 } => [ 1, 2 ], NaN => null }\n"
// output: "Map(1) { 1 => Map(1) { 2 => Map(0) {} } }\n"
console.log(new Map([["a", 1], [{ k: 1 }, [1, 2]], [NaN, null]]))
console.log(new Map([[1, new Map([[2, new Map()]])]]))
