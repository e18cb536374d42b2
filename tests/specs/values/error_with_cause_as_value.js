// expect: completed "Error: outer"
new Error("outer", { cause: 1 })
