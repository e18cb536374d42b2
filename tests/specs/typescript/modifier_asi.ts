// expect: completed "3"
class A {
  a: string
  readonly b
  public static *gen() { yield 3 }
}
[...A.gen()][0]
