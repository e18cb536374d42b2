// expect: completed "1"
1; class A {}
