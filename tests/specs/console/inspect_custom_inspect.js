// expect: completed "undefined"
// output: "custom function { a: 1 }\n"
console.log({ [Symbol.for("Deno.customInspect")](inspect, options) { return "custom " + typeof inspect + " " + inspect({ a: 1 }) } })
