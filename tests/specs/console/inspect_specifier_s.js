// expect: completed "undefined"
// output: "str 5 0 10 Symbol(y) null undefined\n"
// output: "[object Object] %s\n"
// output: "1,a\n"
// output: "function f() {} [class A]\n"
// output: "e\n"
console.log("%s %s %s %s %s %s %s", "str", 5, -0, 10n, Symbol("y"), null, undefined)
console.log("%s", { a: 1 }, "%s")
console.log("%s", [1, "a"])
console.log("%s", function f() {}, class A {})
console.log("%s", new Error("e").message)
