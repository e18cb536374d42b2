// expect: completed "mine"
let setTimeout = "mine"; setTimeout
