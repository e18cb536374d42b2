// expect: failed memory
for (;;) setTimeout(() => {})
