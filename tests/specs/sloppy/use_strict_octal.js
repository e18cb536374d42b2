// expect: failed syntax
// error: "SyntaxError: Octal literals are not allowed in strict mode."
"use strict"; 010
