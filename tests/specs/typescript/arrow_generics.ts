// expect: completed "6"
const a = <T,>(x: T) => x, b = async <T>(x: T): Promise<T> => x, c = <T extends unknown>(x: T) => [x]; a(1) + (await b(2)) + c(3)[0]
