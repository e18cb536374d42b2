// expect: completed "null"
// preview: "null"
null
