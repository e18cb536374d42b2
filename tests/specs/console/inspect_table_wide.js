// expect: completed "undefined"
// output: "┌───────┬────────┬──────┐\n"
// output: "│ (idx) │ name   │ v    │\n"
// output: "├───────┼────────┼──────┤\n"
// output: "│     0 │ \"日本\" │ \"é\"  │\n"
// output: "│     1 │ \"x\"    │ \"😀\" │\n"
// output: "└───────┴────────┴──────┘\n"
console.table([{ name: "日本", v: "é" }, { name: "x", v: "😀" }])
