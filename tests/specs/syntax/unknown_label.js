// expect: failed syntax
// error: "SyntaxError: Undefined label 'nowhere'"
// error: "<anonymous>:4:22"
while (true) { break nowhere }
