// expect: completed "use strict"
"use strict"
