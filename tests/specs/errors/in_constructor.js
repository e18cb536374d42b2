// expect: failed exception
// error: "Error: field"
// error: "at fail (<anonymous>:8:25)"
// error: "<anonymous>:6:8"
class A {
  #x = fail();
}
function fail() { throw new Error("field") }
new A()
