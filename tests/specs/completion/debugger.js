// expect: completed "1"
1; debugger
