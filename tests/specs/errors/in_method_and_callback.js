// expect: failed exception
// error: "TypeError: Cannot read properties of undefined (reading 'call')"
// error: "<anonymous>:8:55"
// error: "at Array.map (<anonymous>)"
// error: "A.run (<anonymous>:8:34)"
// error: "<anonymous>:10:3"
class A {
  static run(list) { return list.map((x) => x.missing.call()) }
}
A.run([1])
