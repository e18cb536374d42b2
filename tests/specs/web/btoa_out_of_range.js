// expect: failed exception
// error: "InvalidCharacterError"
btoa("€")
