// expect: completed "42"
const r: number = await (Promise.resolve(2) as Promise<number>); enum E { A = 40 } r + E.A
