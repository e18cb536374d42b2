// expect: completed "undefined"
// output: "[ 1, 2, 3, 4, 5, 6 ]\n"
// output: "[\n"
// output: "  1, 2, 3, 4,\n"
// output: "  5, 6, 7\n"
// output: "]\n"
// output: "[\n"
// output: "  100,  2000, 30,\n"
// output: "    4, 50000,  6,\n"
// output: "    7,     8,  9,\n"
// output: "   10\n"
// output: "]\n"
console.log([1, 2, 3, 4, 5, 6])
console.log([1, 2, 3, 4, 5, 6, 7])
console.log([100, 2000, 30, 4, 50000, 6, 7, 8, 9, 10])
