// expect: completed "undefined"
// output: "g\n"
// output: "  one\n"
// output: "two\n"
// output: "  {\n"
// output: "  a: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n"
// output: "  b: \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"\n"
// output: "}\n"
// Deno indents every line; here the indentation comes once per call, as the contract has it.
console.group("g"); console.log("one\ntwo"); console.log({ a: "x".repeat(50), b: "y".repeat(50) })
