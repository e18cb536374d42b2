// expect: completed "true"
1 < 2 > 0
