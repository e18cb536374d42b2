// expect: failed syntax
// error: "SyntaxError: Private field '#x' must be declared in an enclosing class"
// error: "<anonymous>:5:8"
class A { #x = 1 }
new A().#x
