// expect: failed syntax
// error: "SyntaxError: Duplicate __proto__ fields are not allowed in object literals"
// error: "<anonymous>:4:18"
({ __proto__: 1, __proto__: 2 })
