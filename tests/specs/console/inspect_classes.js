// expect: completed "undefined"
// output: "[class (anonymous)] [class A] [class B extends Array] [class C] { x: 1 } [ [class D] ]\n"
console.log(class {}, class A {}, class B extends Array {}, class C { static x = 1 }, [class D {}])
