// expect: completed "2"
function f(v: any) { return <number>v + 1 } f(1)
