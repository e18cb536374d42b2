// expect: completed "1e+21"
1e21 + 1
