// expect: failed syntax
// error: "SyntaxError: Rest parameter must be last formal parameter"
// error: "<anonymous>:"
function f(...a, b) {}
