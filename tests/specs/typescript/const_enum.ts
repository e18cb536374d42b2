// expect: completed "3"
const enum Flags { A = 1, B = 2, AB = A | B } Flags.AB
