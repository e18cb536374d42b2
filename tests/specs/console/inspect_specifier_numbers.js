// expect: completed "undefined"
// output: "42 NaN 10 NaN NaN\n"
// output: "3 -7 10 NaN\n"
// output: "3.25 NaN 1\n"
console.log("%d %d %d %d %d", "42", "x", 10n, {}, Symbol("s"))
console.log("%i %i %i %i", 3.99, "-7.5px", 10n, {})
console.log("%f %f %f", "3.25abc", "x", 1n)
