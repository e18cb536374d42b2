// expect: completed "4"
var f; function f() { return 4 } f()
