// expect: completed "undefined"
typeof arguments
