// expect: failed exception
// error_exact: "TypeError: multi\n    at f (<anonymous>:8:9)\n    at <anonymous>:10:1"
interface A {
  a: string;
}

function f(a: A): never {
  throw new TypeError(a.a as string);
}
f({ a: "multi" });
