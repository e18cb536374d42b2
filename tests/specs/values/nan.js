// expect: completed "NaN"
// preview: "NaN"
0 / 0
