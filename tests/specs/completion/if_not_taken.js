// expect: completed "undefined"
1; if (false) 2
