// expect: completed "1"
1; function f() {}
