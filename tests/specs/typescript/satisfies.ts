// expect: completed "1"
const o = { a: 1 } satisfies Record<string, number>; o.a
