// expect: completed "1"
interface P { n: number }; const p: P = {n: 1}; p.n as number
