// expect: completed "out"
let n = 0; while (true) { n++; if (n === 3) { "out"; break } n }
