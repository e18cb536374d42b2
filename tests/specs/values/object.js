// expect: completed "[object Object]"
// preview: "{ a: 1 }"
({a: 1})
