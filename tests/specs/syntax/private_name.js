// expect: failed syntax
// error: "SyntaxError: Private field '#x' must be declared in an enclosing class"
// error: "<anonymous>:4:5"
this.#x
