// expect: completed "[object Map]"
// preview: "Map(1) { \"a\" => { b: 1 } }"
new Map([["a", {b: 1}]])
