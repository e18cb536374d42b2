// expect: completed "[object Set]"
// preview: "Set(2) { 1, \"x\" }"
new Set([1, "x"])
