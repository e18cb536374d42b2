// expect: completed "1"
interface I<T> { get(): T } class A<T extends object = {}> implements I<T>, Iterable<number> { get(): T { return {} as T } *[Symbol.iterator](): Generator<number, void, unknown> { yield 1 } } [...new A<{}>()].length
