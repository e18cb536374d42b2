// expect: completed "undefined"
// output: "NumberFormat [Intl.NumberFormat] {}\n"
// output: "2024-01-02\n"
console.log(new Intl.NumberFormat("en"))
console.log(typeof Temporal === "undefined" ? "none" : Temporal.PlainDate.from("2024-01-02"))
