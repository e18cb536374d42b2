// expect: failed exception
// error_exact: "Error: line one\nline two\n    at <anonymous>:3:7"
throw new Error("line one\nline two")
