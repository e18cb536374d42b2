// expect: completed "lines"
const f = async <
  T
>(x: T) => x;
await f("lines")
