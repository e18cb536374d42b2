// expect: completed "a\u0000b\u2028c"
"a\0b\u2028c"
