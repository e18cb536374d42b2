// expect: completed "0"
// preview: "-0"
-0
