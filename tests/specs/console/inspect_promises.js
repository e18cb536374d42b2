// expect: completed "undefined"
// output: "Promise { 5 } Promise { <pending> } Promise { { a: 1 } }\n"
// output: "Promise { <rejected> 7 }\n"
console.log(Promise.resolve(5), new Promise(() => {}), Promise.resolve({ a: 1 })); const r = Promise.reject(7); r.catch(() => {})
console.log(r)
