// expect: completed "3x,y,z"
class P { constructor(public x: number, private y = 2, readonly z?: string) {} sum() { return this.x + this.y } } const p = new P(1); p.sum() + Object.keys(p).join()
