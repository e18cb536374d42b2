// expect: completed "true"
function isS(x: unknown): x is string { return typeof x === "string" } function must(x: unknown): asserts x is number {} function t(this: Date): this is Date { return true } isS("s")
