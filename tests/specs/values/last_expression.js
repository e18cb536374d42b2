// expect: completed "42"
const r = 6 * 7; r;
