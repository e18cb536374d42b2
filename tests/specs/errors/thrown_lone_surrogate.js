// expect: failed exception
// error: "a�b"
throw "a\ud800b"
