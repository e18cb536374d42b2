// expect: completed "undefined"
// output: "{}\n"
// output: "A {}\n"
// output: "[Array(1): null prototype] [ 1 ]\n"
// output: "[Map(1): null prototype] { 1 => 2 }\n"
// output: "Object <[Object: null prototype] {}> {}\n"
console.log(Object.create({ a: 1 }))
console.log(Object.create(class A {}.prototype))
console.log(Object.setPrototypeOf([1], null))
console.log(Object.setPrototypeOf(new Map([[1, 2]]), null)); const o = Object.create(Object.create(null))
console.log(o)
