// expect: failed exception
// error: "Error: in eval"
// error: "<anonymous>:1:7"
// Positions inside evaluated code are its own.
enum E { A }


eval("throw new Error('in eval')")
