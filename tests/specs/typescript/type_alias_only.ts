// expect: completed "undefined"
type A = { a: string } | null;
interface B extends Array<A> {}
