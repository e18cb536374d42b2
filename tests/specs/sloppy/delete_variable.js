// expect: completed "undefined"
x = 1; delete x; typeof x
