// expect: failed exception
// error_exact: "Error: 2\n    at f (<anonymous>:6:9)\n    at <anonymous>:8:3"
enum A { X = 1, Y }

function f() {
  throw new Error(String(A.Y));
}
  f();
