// expect: completed "5"
const m = new Map([["k", { v: 4 }]]); m.get("k")!.v! + 1
