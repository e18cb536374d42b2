// expect: completed "undefined"
// output: "Trace: t 1\n"
// output: "    at f (<anonymous>:5:24)\n"
// output: "    at <anonymous>:6:1\n"
function f() { console.trace("t %d", 1) }
f()
