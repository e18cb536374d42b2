// expect: completed "120"
(function (n) { return n < 2 ? 1 : n * arguments.callee(n - 1) })(5)
