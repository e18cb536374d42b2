// expect: failed exception
// error: "SyntaxError: Unexpected token"
// The script itself is well formed: an error in evaluated code is an exception.
eval("let = = 1")
