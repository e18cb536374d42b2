// expect: failed exception
// output: "shown\n"
// error: "Error: x"
console.log("shown"); throw new Error("x")
