// expect: failed exception
// error_exact: "SyntaxError: by hand\n    at <anonymous>:3:7"
throw new SyntaxError("by hand")
