// expect: completed "undefined"
// output: "[ \"\\x00\\x1b\\x7f\\x9f\u2028"
// output: "�\ufeff\" ]\n"
console.log(["\x00\x1b\x7f\x9f\u2028\ud800\ufeff"])
