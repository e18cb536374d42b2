// expect: completed "3"
await 3; class A {}
