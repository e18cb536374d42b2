// expect: completed "7"
function first<T, U extends keyof T = keyof T>(this: void, x: readonly T[], ...rest: U[]): T | undefined { return x[0] } first<number>([7])
