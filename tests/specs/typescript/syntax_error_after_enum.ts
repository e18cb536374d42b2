// expect: failed syntax
// error: "SyntaxError"
// error: "<anonymous>:6:9"
// The fault that a person has to mend is in line 2; the enum is fine.
enum E { A }
let x = ;
