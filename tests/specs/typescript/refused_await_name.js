// expect: completed "3"
function f(await) { return await } f(3)
