// expect: completed "5"
let x = <number>(<unknown>"5"); x
