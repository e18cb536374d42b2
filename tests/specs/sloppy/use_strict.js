// expect: failed exception
// error: "ReferenceError: undeclared is not defined"
// error: "<anonymous>:5:1"
"use strict";
undeclared = 1
