// expect: completed "undefined"
// output: "still\n"
const { log } = console; delete globalThis.console; log("still"); typeof console
