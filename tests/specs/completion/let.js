// expect: completed "1"
1; let x = 2;
