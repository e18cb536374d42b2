// expect: completed "b"
"use strict"; "b"
