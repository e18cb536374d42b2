// expect: failed exception
// error_exact: "RangeError: big\n    at new A (<anonymous>:5:22)\n    at <anonymous>:8:1"
class A {
  constructor(public x: number) {
    if (x > 1) throw new RangeError("big");
  }
}
new A(2);
