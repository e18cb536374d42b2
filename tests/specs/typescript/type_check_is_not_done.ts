// expect: failed exception
// error: "TypeError: n.toFixed is not a function"
// error: "<anonymous>:4:36"
const n: number = "text" as any; n.toFixed()
