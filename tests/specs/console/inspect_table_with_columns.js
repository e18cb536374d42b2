// expect: completed "undefined"
// output: "┌───────┬───┐\n"
// output: "│ (idx) │ b │\n"
// output: "├───────┼───┤\n"
// output: "│     0 │ 2 │\n"
// output: "│     1 │ 4 │\n"
// output: "└───────┴───┘\n"
// output: "┌───────┬───┬───┐\n"
// output: "│ (idx) │ a │ z │\n"
// output: "├───────┼───┼───┤\n"
// output: "│     0 │ 1 │   │\n"
// output: "└───────┴───┴───┘\n"
console.table([{ a: 1, b: 2 }, { a: 3, b: 4 }], ["b"])
console.table([{ a: 1 }], ["a", "z"])
