// expect: failed exception
// error_exact: "RangeError: deep\n    at inner (<anonymous>:4:9)\n    at outer (<anonymous>:6:20)\n    at <anonymous>:7:1"
function inner() {
  throw new RangeError("deep");
}
function outer() { inner() }
outer();
