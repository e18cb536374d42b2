// expect: completed "2"
{ const a = 1 } { const a = 2; a }
