// expect: completed "deep"
let o = { toString: () => "deep" }; for (let i = 0; i < 2000; i++) o = { o, toString: () => "deep" }; o
