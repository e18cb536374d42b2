// expect: completed "undefined"
// output: "s|4|4|1.5|{\"j\":1}|[ 1 ]|{ a: { b: {} } }||% rest { r: 1 }\n"
console.log("%s|%d|%i|%f|%j|%o|%O|%c|%%", "s", 4.5, 4.7, "1.5", { j: 1 }, [1], { a: { b: {} } }, "color: red", "rest", { r: 1 })
