// expect: completed "true"
// Lowering adds no "use strict".
enum E { A } undeclared = 1; (function () { return this === globalThis })()
