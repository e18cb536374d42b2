// expect: failed memory
const e = new TextEncoder(), keep = []; for (;;) keep.push(e.encode("x".repeat(1 << 19)))
