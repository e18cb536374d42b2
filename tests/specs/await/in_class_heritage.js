// expect: completed "6"
class A extends (await Object) { static x = 6 } A.x
