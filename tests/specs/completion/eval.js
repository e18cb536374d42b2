// expect: completed "2"
eval("1; if (true) { 2 }")
