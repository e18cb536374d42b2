// expect: failed memory
for (;;) queueMicrotask(() => {})
