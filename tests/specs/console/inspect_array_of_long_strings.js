// expect: completed "undefined"
// output: "[\n"
// output: "  \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\n"
// output: "  \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\n"
// output: "  \"cccccccccccccccccccccccccccccc\"\n"
// output: "]\n"
console.log(["a".repeat(30), "b".repeat(30), "c".repeat(30)])
