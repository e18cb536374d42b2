// expect: failed exception
// error: "Error: outer\n    at <anonymous>:5:7"
// error: "TypeError: inner"
// error: "at <anonymous>:5:35"
throw new Error("outer", { cause: new TypeError("inner") })
