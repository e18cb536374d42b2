// expect: completed "undefined"
// output: "1970-01-01T00:00:00.000Z { a: 1 }\n"
console.log(Object.assign(new Date(0), { a: 1 }))
