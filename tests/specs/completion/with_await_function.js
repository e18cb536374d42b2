// expect: completed "3"
await 3; function g() {}
