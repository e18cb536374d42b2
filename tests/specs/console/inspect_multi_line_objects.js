// expect: completed "undefined"
// output: "{\n"
// output: "  name: \"example\",\n"
// output: "  items: [ { id: 1, tags: [ \"a\", \"b\" ] }, { id: 2, tags: [] } ],\n"
// output: "  nested: { deep: { deeper: { deepest: \"value\" } } },\n"
// output: "  fn: [Function: fn],\n"
// output: "  when: 1970-01-01T00:00:00.000Z\n"
// output: "}\n"
console.log({ name: "example", items: [{ id: 1, tags: ["a", "b"] }, { id: 2, tags: [] }], nested: { deep: { deeper: { deepest: "value" } } }, fn() {}, when: new Date(0) })
