// expect: completed "undefined"
// output: "A(2) [ 1, 2 ] M(1) [Map] { 1 => 2 } P [Promise] { 1 } [ 1, extra: true ] Map(1) { 1 => 2, e: 1 }\n"
class A extends Array {} class M extends Map {} class E extends Error {} class P extends Promise {} console.log(A.from([1, 2]), new M([[1, 2]]), P.resolve(1), Object.assign([1], { extra: true }), Object.assign(new Map([[1, 2]]), { e: 1 }))
