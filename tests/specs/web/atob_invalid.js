// expect: failed exception
// error: "InvalidCharacterError"
atob("a")
