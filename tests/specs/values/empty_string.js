// expect: completed ""
// preview: "\"\""
""
