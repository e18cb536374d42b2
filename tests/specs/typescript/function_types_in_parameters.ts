// expect: completed "ran"
// output: "1\n"
const run = (f: (x: number, ...more: string[]) => void | Promise<void>, n?: number) => f(n ?? 1); run((x) => console.log(x)); "ran"
