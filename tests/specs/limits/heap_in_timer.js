// expect: failed memory
setTimeout(() => { const a = []; for (;;) a.push({}) }, 1)
