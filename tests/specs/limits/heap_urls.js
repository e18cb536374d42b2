// expect: failed memory
const keep = []; for (;;) keep.push(new URL("http://a/b" + keep.length))
