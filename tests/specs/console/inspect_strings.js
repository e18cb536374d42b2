// expect: completed "undefined"
// output: "a b c  é😀\n"
// output: "[ \"a\", \"it's\", 'say \"x\"', `'\"`, \"\\n\\t\\\\\", \"`'\\\"\" ]\n"
console.log("a", "b c", "", "é😀")
console.log(["a", "it's", 'say "x"', `'"`, "\n\t\\", "`'\""])
