// expect: failed syntax
// error: "SyntaxError: Cannot use import statement outside a module"
// error: "<anonymous>:5:1"
1;
import "x"
