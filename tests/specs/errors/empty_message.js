// expect: failed exception
// error_exact: "Error\n    at <anonymous>:3:7"
throw new Error()
