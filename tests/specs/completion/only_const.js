// expect: completed "undefined"
const x = 2;
