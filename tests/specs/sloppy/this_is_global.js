// expect: completed "true"
this === globalThis
