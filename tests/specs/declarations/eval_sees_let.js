// expect: completed "6"
let secret = 5; eval("secret + 1")
