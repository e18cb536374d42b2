// expect: completed "1"
let a = <any>{ b: 1 }; a.b
