// expect: completed "false,true,true,3,4"
class A { declare ghost: number; a!: string; b?: number; static readonly c: number = 3; private d: number = 4; [key: string]: any } const a = new A(); ["ghost" in a, "a" in a, "b" in a, A.c, (a as any).d].join()
