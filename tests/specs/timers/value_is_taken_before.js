// expect: completed "early"
let v = "early"; setTimeout(() => { v = "late" }, 5); v
