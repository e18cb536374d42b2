// expect: completed "2"
(function (a, a) { return a })(1, 2)
