// expect: completed "undefined"
// output: "{ price: $5 } [ $1 ]\n"
class Money { constructor(n) { this.n = n } [Symbol.for("Deno.customInspect")]() { return `$${this.n}` } } console.log({ price: new Money(5) }, [new Money(1)])
