// expect: failed syntax
// error: "SyntaxError: Cannot use import statement outside a module"
// error: "<anonymous>:4:1"
import { a } from "./a.ts";
a
