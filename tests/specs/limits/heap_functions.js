// expect: failed memory
const keep = []; for (let i = 0; ; i++) keep.push(new Function("return " + i))
