// expect: failed syntax
// error: "SyntaxError"
const u: URL = new URL("a:b");
(u as any).#queryObject
