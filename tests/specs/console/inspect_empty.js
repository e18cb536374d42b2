// expect: completed "undefined"
// output: "{} [] Map(0) {} Set(0) {} [Function (anonymous)] A {} [Object: null prototype] {}  []\n"
console.log({}, [], new Map(), new Set(), () => {}, new (class A {})(), Object.create(null), "", new Array(0))
