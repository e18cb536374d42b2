// expect: failed syntax
// error: "SyntaxError: Unexpected identifier 'compute'"
// error: "<anonymous>:4:8"
Please compute the sum
