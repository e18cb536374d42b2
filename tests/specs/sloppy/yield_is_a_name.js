// expect: completed "12"
var yield = 3, let = 4, static = 5; yield + let + static
