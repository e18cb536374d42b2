// expect: completed "undefined"
// output: "a�b [ \"�\" ]\n"
console.log("a\ud800b", ["\udfff"])
