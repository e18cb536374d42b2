// expect: completed "1"
{ a: 1 }
