// expect: completed "1"
class A { #x = 1; static read(code) { return eval(code) } }
A.read("new A().#x")
