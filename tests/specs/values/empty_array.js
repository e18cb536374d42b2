// expect: completed ""
// preview: "[]"
[]
