// expect: completed "2"
await 1; { 2; { } }
