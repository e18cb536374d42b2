// expect: failed memory
const keep = []; for (;;) keep.push("abc".match(/(a)(b)(c)/))
