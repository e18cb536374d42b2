// expect: completed "a�b"
// A result is UTF-8, which has no lone surrogates.
"a\ud800b"
