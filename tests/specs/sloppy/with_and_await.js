// expect: completed "5"
var o = { x: 1 }; with (o) { x = await 5 } o.x
