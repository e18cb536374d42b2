// expect: completed "1"
with ({ a: 1 }) { a }
