// expect: completed "Invalid Date"
new Date(NaN)
