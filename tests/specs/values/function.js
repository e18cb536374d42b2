// expect: completed "function f(a, b) { return a /* kept */ + b }"
// preview: "[Function: f]"
(function f(a, b) { return a /* kept */ + b })
