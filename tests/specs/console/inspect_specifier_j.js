// expect: completed "undefined"
// output: "{\"a\":[1,\"x\"]} \"s\" %j\n"
console.log("%j %j %j", { a: [1, "x"] }, "s", undefined)
