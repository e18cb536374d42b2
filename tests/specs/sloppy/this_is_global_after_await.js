// expect: completed "true"
await null; this === globalThis
