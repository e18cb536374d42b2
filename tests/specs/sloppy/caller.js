// expect: completed "true"
// The caller of a function that the script calls is the script, which is no function.
function f() { return f.caller } f() === null
