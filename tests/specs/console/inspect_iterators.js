// expect: completed "undefined"
// output: "[Map Entries] { [ 1, 2 ] } [Map Iterator] { 1 } [Set Iterator] { 1 } Object [Array Iterator] {} Object [String Iterator] {} Object [Generator] {} Object [AsyncGenerator] {}\n"
console.log(new Map([[1, 2]]).entries(), new Map([[1, 2]]).keys(), new Set([1]).values(), [1, 2][Symbol.iterator](), "ab"[Symbol.iterator](), (function* g() {})(), (async function* ag() {})())
