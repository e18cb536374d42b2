// expect: completed "false"
var d = 1; delete d
