// expect: completed "[object Object]"
// preview: "{ a: 1 }"
Promise.resolve({ a: 1 })
