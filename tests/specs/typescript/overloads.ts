// expect: completed "number2"
function pick(x: string): string;
function pick(x: number): number;
function pick(x: any) { return typeof x }
class C { m(a: 1): 1; m(a: 2): 2; m(a: number) { return a } }
pick(1) + new C().m(2)
