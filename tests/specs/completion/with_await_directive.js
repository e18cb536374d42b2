// expect: completed "true"
"use strict"; await 1; (function () { return this === undefined })()
