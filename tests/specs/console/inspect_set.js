// expect: completed "undefined"
// output: "Set(4) { 1, \"a\", { b: 1 }, [ 2 ] } Set(1) { Set(1) { 1 } }\n"
console.log(new Set([1, "a", { b: 1 }, [2]]), new Set([new Set([1])]))
