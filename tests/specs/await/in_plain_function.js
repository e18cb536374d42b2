// expect: failed syntax
// error: "SyntaxError: await is only valid in async functions"
// error: "<anonymous>:4:16"
function f() { await null }
