// expect: completed "undefined"
// output: "{ s: \"line one\\nline two\" } [ \"a\\nb\" ]\n"
// output: "{\n"
// output: "  long: \"word word word word word word word word word word \\n\" +\n"
// output: "    \"word word word word word word word word word word \\n\" +\n"
// output: "    \"word word word word word word word word word word \\n\"\n"
// output: "}\n"
console.log({ s: "line one\nline two" }, ["a\nb"])
console.log({ long: ("word ".repeat(10) + "\n").repeat(3) })
