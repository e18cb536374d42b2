// expect: completed "1"
1; l: function f() {}
