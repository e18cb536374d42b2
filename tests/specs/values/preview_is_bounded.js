// expect: completed "bounded"
const wide = Array.from({ length: 100_000 }, (_, i) => i);
const o = { wide, toString: () => "bounded" };
o
