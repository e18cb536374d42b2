// expect: completed "function max() { [native code] }"
Math.max
