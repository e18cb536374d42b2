// expect: completed "undefined"
// output: "{ a: [Getter/Setter], b: [Getter], c: [Setter] }\n"
console.log({ get a() { return 1 }, set a(v) {}, get b() { return 2 }, set c(v) {} })
