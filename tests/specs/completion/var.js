// expect: completed "1"
1; var x = 2
