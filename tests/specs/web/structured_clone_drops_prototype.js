// expect: completed "1,false,true"
class A { x = 1 } const c = structuredClone(new A()); [c.x, c instanceof A, Object.getPrototypeOf(c) === Object.prototype].join()
