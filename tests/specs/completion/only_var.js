// expect: completed "undefined"
var x = 2
