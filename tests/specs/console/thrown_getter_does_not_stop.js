// expect: completed "on"
// output: "{ a: [Getter] }\n"
console.log({ get a() { throw new Error("x") } }); "on"
