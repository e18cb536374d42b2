// expect: failed exception
// error: "Error: in eval"
// error: "<anonymous>:2:8"
eval("1;\n throw new Error('in eval')")
