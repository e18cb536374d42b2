// expect: completed "2"
var f = function (a, a) { return a }; f(1, 2)
