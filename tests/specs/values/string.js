// expect: completed "a\nb"
// preview: "\"a\\nb\""
"a\nb"
