// expect: failed exception
// error: "Error: t"
// error: "<anonymous>:5:23"
enum E { A }
let s = "😀😀"; throw new Error("t")
