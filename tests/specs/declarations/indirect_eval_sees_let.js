// expect: completed "11"
let shared = 5; (0, eval)("shared + 1") + new Function("return shared")()
