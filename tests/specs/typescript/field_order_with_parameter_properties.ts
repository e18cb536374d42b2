// expect: completed "NaN"
// Class fields are defined before the parameters are assigned, as ES2022 and TypeScript (useDefineForClassFields) have it.
class A { y = this.x + 1; constructor(public x: number) {} } new A(1).y
