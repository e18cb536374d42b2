// expect: completed "2"
var o = { x: 1 }; with (o) { x = 2 } o.x
