// expect: failed syntax
// error: "SyntaxError: Getter must not have any formal parameters."
// error: "<anonymous>:4:9"
({ get a(x) { return 1 } })
