// expect: completed "2"
class A {
  x = 1
  private ["y"] = 2
  static z: number
  declare w
  *g() {}
}
new A().y
