// expect: completed "3"
with ({ x: 3 }) x
