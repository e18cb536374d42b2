// expect: completed "1"
// output: "true\n"
"use strict"; setTimeout(function () { console.log(this === globalThis || this === undefined) }, 0); 1
