// expect: failed exception
// error: "SyntaxError: Private field '#x' must be declared in an enclosing class"
class A { #x = 1 }
eval("new A().#x")
