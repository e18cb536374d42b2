// expect: completed "false"
var kept = 1; delete kept
