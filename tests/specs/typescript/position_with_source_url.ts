// expect: failed exception
// error: "Error: named"
// error: ":9:9"
// error: ":11:1"
enum E { A }


function f() {
  throw new Error("named");
}
f();
//# sourceURL=named.js
