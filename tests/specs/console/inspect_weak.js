// expect: completed "undefined"
// output: "WeakMap { <items unknown> } WeakSet { <items unknown> } WeakRef {}\n"
console.log(new WeakMap(), new WeakSet(), new WeakRef({}))
