// expect: completed "undefined"
1; for (;false;) {}
