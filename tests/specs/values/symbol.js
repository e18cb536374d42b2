// expect: completed "Symbol(s)"
// preview: "Symbol(s)"
Symbol("s")
