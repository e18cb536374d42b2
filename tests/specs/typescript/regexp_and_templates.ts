// expect: completed "a1b2: string"
const s: string = `a${(1 as number) + `b${2 as any}`}` + /: string/.source; s
