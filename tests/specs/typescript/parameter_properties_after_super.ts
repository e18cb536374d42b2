// expect: completed "2"
class A { a = 1 } class B extends A { constructor(protected b: number) { super(); this.b++ } } new B(1).b as any
