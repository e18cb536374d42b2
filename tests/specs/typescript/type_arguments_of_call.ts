// expect: completed "a"
const id = <T>(x: T): T => x; id<string>("a")
