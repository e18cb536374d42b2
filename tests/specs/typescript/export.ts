// expect: failed syntax
// error: "SyntaxError"
export const x: number = 1
