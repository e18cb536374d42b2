// expect: failed syntax
// error: "SyntaxError: Cannot use 'import.meta' outside a module"
// error: "<anonymous>:4:8"
import.meta
