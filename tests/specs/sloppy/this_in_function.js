// expect: completed "true"
(function () { return this === globalThis })()
