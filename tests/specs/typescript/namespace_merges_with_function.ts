// expect: completed "merged"
function f() { return f.extra } namespace f { export const extra = "merged" } f()
