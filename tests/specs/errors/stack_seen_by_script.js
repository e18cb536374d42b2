// expect: completed "Error: m\n    at f (<anonymous>:2:23)\n    at <anonymous>:3:1"
function f() { return new Error("m").stack }
f()
