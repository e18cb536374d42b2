// expect: completed "3"
undeclared = 3; globalThis.undeclared
