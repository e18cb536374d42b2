// expect: failed memory
// output: "before\n"
console.log("before"); const a = []; for (;;) a.push([1, 2, 3, {}])
