// expect: completed "2"
// preview: "2"
1 + 1
