// expect: failed memory
// error: "8"
const a = []; for (;;) a.push({})
