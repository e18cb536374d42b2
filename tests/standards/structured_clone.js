await about("values", () => {
  for (const value of [undefined, null, true, false, 0, -0, 1.5, NaN, Infinity, "", "é😀\ud800\0", 10n ** 30n, -1n]) same(structuredClone(value), value, show(value));
  for (const value of [new Boolean(false), new Number(-0), new String("x"), Object(5n)]) {
    const copy = structuredClone(value);
    same(Object.prototype.toString.call(copy) + show(copy.valueOf()), Object.prototype.toString.call(value) + show(value.valueOf()), `a box of ${show(value.valueOf())}`);
  }
  const date = structuredClone(new Date(5));
  same([date instanceof Date, date.getTime()], [true, 5], "a date");
  same(structuredClone(new Date(NaN)).getTime(), NaN, "no date");
  const pattern = /a\/b/giu;
  pattern.lastIndex = 3;
  const copied = structuredClone(pattern);
  same([copied.source, copied.flags, copied.lastIndex], ["a\\/b", "giu", 0], "a pattern");
});

await about("objects", () => {
  same(structuredClone({ a: { b: [1, { c: 2 }] } }), { a: { b: [1, { c: 2 }] } }, "nested");
  const circular = { name: "x" };
  circular.self = circular;
  const copy = structuredClone(circular);
  same([copy.self === copy, copy !== circular], [true, true], "circular");
  const shared = {};
  const twice = structuredClone([shared, shared]);
  same(twice[0], twice[1], "what is there twice is one");
  const sparse = structuredClone([1, , 3]);
  same([sparse.length, 1 in sparse], [3, false], "holes");
  const list = [1];
  list.extra = 2;
  same(structuredClone(list).extra, 2, "properties of lists");
  class Point { x = 1; get y() { return 2; } }
  const point = structuredClone(new Point());
  same([Object.getPrototypeOf(point) === Object.prototype, point.x, "y" in point], [true, 1, false], "classes are lost");
  same(structuredClone({ get a() { return 1; } }), { a: 1 }, "getters are asked");
  const odd = Object.defineProperty({ [Symbol("s")]: 1, seen: 2 }, "hidden", { value: 3 });
  same(Reflect.ownKeys(structuredClone(odd)), ["seen"], "only what is enumerable and named");
  const frozen = structuredClone(Object.freeze({ a: 1 }));
  same(Object.isFrozen(frozen), false, "is not frozen");
  same(Object.keys(structuredClone({ b: 1, a: 2, 1: 3 })), ["1", "b", "a"], "in its order");
  same(Object.getPrototypeOf(structuredClone(Object.create(null))), Object.prototype, "without a prototype it gets one");
});

await about("collections", () => {
  const map = structuredClone(new Map([[{ k: 1 }, "v"], ["a", new Map()]]));
  same([map instanceof Map, map.size, [...map.keys()][0].k], [true, 2, 1], "a map");
  same([...structuredClone(new Set([1, "a", NaN]))], [1, "a", NaN], "a set");
  const self = new Set();
  self.add(self);
  const copy = structuredClone(self);
  same(copy.has(copy), true, "a set in itself");
});

await about("errors", () => {
  for (const Kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const error = structuredClone(new Kind("m"));
    same([error instanceof Kind, error.message, error.name], [true, "m", Kind.name], Kind.name);
  }
  const own = new Error("m");
  own.name = "Own";
  same(structuredClone(own).name, "Error", "an own name");
  same(structuredClone(new Error("m", { cause: { a: 1 } })).cause, { a: 1 }, "a cause");
  same("message" in Object.getOwnPropertyDescriptors(structuredClone(new Error())), false, "no message");
  const exception = structuredClone(new DOMException("m", "DataCloneError"));
  same([exception instanceof DOMException, exception.message, exception.name, exception.code], [true, "m", "DataCloneError", 25], "DOMException");
});

await about("binary", () => {
  const buffer = structuredClone(new Uint8Array([1, 2]).buffer);
  same(buffer, new Uint8Array([1, 2]).buffer, "a buffer");
  for (const Kind of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array]) {
    const big = Kind.name.startsWith("Big");
    const value = new Kind(big ? [1n, 2n] : [1, 2]);
    const copy = structuredClone(value);
    same([copy.constructor, show(copy)], [Kind, show(value)], Kind.name);
  }
  const view = structuredClone(new DataView(new ArrayBuffer(8), 2, 3));
  same([view.byteOffset, view.byteLength, view.buffer.byteLength], [2, 3, 8], "a view");
  const both = structuredClone([new Uint8Array(4), null]);
  same(both[0].byteLength, 4, "in a list");
  const base = new ArrayBuffer(4);
  const views = structuredClone([new Uint8Array(base), new Uint8Array(base, 2)]);
  same(views[0].buffer, views[1].buffer, "views share");
  const growing = structuredClone(new ArrayBuffer(2, { maxByteLength: 8 }));
  same([growing.resizable, growing.maxByteLength], [true, 8], "a buffer that grows");
});

await about("transfer", () => {
  const buffer = new Uint8Array([1, 2]).buffer;
  const copy = structuredClone(buffer, { transfer: [buffer] });
  same([buffer.byteLength, buffer.detached, copy.byteLength], [0, true, 2], "moves");
  const other = new ArrayBuffer(2);
  const inside = structuredClone({ view: new Uint8Array(other) }, { transfer: [other] });
  same([inside.view.length, other.detached], [2, true], "inside of others");
  const unused = new ArrayBuffer(1);
  structuredClone(1, { transfer: [unused] });
  same(unused.detached, true, "what is not used as well");
  const twice = new ArrayBuffer(1);
  throws("DataCloneError", () => structuredClone(1, { transfer: [twice, twice] }), "not twice");
  same(twice.detached, false, "which leaves it");
  throws("DataCloneError", () => structuredClone(buffer, { transfer: [buffer] }), "nothing that has gone");
  for (const bad of [{}, [], new Uint8Array(1), new Map()]) throws("DataCloneError", () => structuredClone(1, { transfer: [bad] }), `not ${show(bad)}`);
  throws(TypeError, () => structuredClone(1, { transfer: [1] }), "no number");
  throws(TypeError, () => structuredClone(1, { transfer: 1 }), "no list");
  throws(TypeError, () => structuredClone(1, 1), "no options");
  throws(TypeError, () => structuredClone(), "nothing");
});

await about("what cannot be cloned", () => {
  for (const [value, what] of [[() => 1, "a function"], [class {}, "a class"], [Symbol("s"), "a symbol"], [Object(Symbol("s")), "a box of a symbol"], [Promise.resolve(), "a promise"], [new WeakMap(), "a weak map"], [new WeakSet(), "a weak set"], [new WeakRef({}), "a weak reference"], [new Proxy({}, {}), "a proxy"], [(function* () {})(), "a generator"], [[].values(), "an iterator"], [new AbortController(), "a controller"], [new Response(), "a response"], [new Headers(), "headers"], [new FormData(), "a form"], [new URL("http://a"), "a URL"]]) {
    throws("DataCloneError", () => structuredClone(value), what);
    throws("DataCloneError", () => structuredClone({ value }), `${what} inside`);
  }
  const thrown = new Error("mine");
  throws(thrown, () => structuredClone({ get a() { throw thrown; } }), "a getter that throws");
  const stream = new ReadableStream();
  throws("DataCloneError", () => structuredClone(stream), "a stream");
});

await about("blobs", async () => {
  const blob = structuredClone(new Blob(["ab"], { type: "x/y" }));
  same([blob instanceof Blob, blob.size, blob.type, await blob.text()], [true, 2, "x/y", "ab"], "a blob");
  const file = structuredClone(new File(["f"], "n", { lastModified: 3 }));
  same([file instanceof File, file.name, file.lastModified, await file.text()], [true, "n", 3, "f"], "a file");
});
