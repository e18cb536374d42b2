// expect: completed "undefined"
// output: "{ \"1\": \"a\", \"2\": \"c\", \"10\": \"b\", x: \"d\", \"1.5\": \"e\" }\n"
console.log({ 1: "a", 10: "b", 2: "c", x: "d", [1.5]: "e" })
