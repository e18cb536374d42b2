// expect: completed "undefined"
// output: "/a/ [ /b\\/c/gi ] /d/ { extra: 1 }\n"
console.log(/a/, [/b\/c/gi], Object.assign(/d/, { extra: 1 }))
