// How arguments become what an interface takes.
await about("texts", () => {
  const order = [];
  const text = { toString() { order.push("s"); return "t"; }, valueOf() { order.push("v"); return "u"; } };
  same(new URLSearchParams([[text, text]]).get("t"), "t", "toString is asked");
  same(order, ["s", "s"], "and nothing else");
  for (const run of [() => new Headers().get(Symbol("s")), () => new URL(Symbol("s")), () => new FormData().append(Symbol("s"), ""), () => new TextEncoder().encode(Symbol("s")), () => new Response("", { statusText: Symbol("s") })]) throws(TypeError, run, `a symbol is no text: ${run}`);
  const thrown = new Error("mine");
  const bad = { toString() { throw thrown; } };
  for (const run of [() => new Headers().get(bad), () => new URL(bad), () => new Request(bad), () => new Response(bad), () => new FormData().get(bad), () => new URLSearchParams().get(bad), () => atob(bad), () => new TextDecoder(bad)]) throws(thrown, run, `errors go through: ${run}`);
  for (const [call, what] of [[(v) => new Headers().append("a", v), "a header"], [(v) => new Response("", { statusText: v }), "a status text"], [(v) => new Request("http://a", { method: v }), "a method"]]) throws(TypeError, () => call("\u0100"), `${what} is bytes`);
});

await about("numbers", () => {
  const status = (value) => new Response("", { status: value }).status;
  for (const [value, number] of [[200, 200], ["200", 200], [" 200 ", 200], [200.9, 200], ["0xc8", 200], [65736, 200], [-65336, 200], [{ valueOf: () => 201 }, 201], [[202], 202]]) same(status(value), number, `status ${show(value)}`);
  for (const value of [Symbol("s"), 200n]) throws(TypeError, () => status(value), `status ${String(value)}`);
  const size = (value) => new Blob(["abcdef"]).slice(value).size;
  for (const [value, left] of [[undefined, 6], [null, 6], [0, 6], [-2, 2], [NaN, 6], [Infinity, 0], [-Infinity, 6], ["2", 4], [2.5, 4], [1e30, 0]]) same(size(value), left, `slice from ${show(value)}`);
  for (const value of [-1, NaN, "x", Infinity, 2 ** 53]) throws(TypeError, () => AbortSignal.timeout(value), `an enforced range: ${show(value)}`);
  for (const value of [NaN, -1, "x"]) throws(RangeError, () => new ReadableStream({}, { highWaterMark: value }), `a high water mark: ${show(value)}`);
});

await about("dictionaries", () => {
  const order = [];
  const watched = new Proxy({}, { get: (_, name) => (order.push(name), undefined) });
  new Response("", watched);
  same(order, ["headers", "status", "statusText"], "members are asked in their order");
  order.length = 0;
  new Blob([], watched);
  same(order, ["endings", "type"], "each once");
  order.length = 0;
  new TextDecoder("utf-8", watched);
  same(order, ["fatal", "ignoreBOM"], "of a decoder");
  order.length = 0;
  new Event("x", watched);
  same(order, ["bubbles", "cancelable", "composed"], "of an event");
  const made = { Response: (v) => new Response("", v), Request: (v) => new Request("http://a", v), Blob: (v) => new Blob([], v), TextDecoder: (v) => new TextDecoder("utf-8", v), structuredClone: (v) => structuredClone({}, v), Event: (v) => new Event("x", v), CustomEvent: (v) => new CustomEvent("x", v) };
  for (const name in made) {
    for (const value of [1, "x", true, Symbol("s"), 1n]) throws(TypeError, () => made[name](value), `${name} of a ${typeof value}`);
    for (const value of [null, undefined, {}, [], () => {}]) {
      let error = null;
      try { made[name](value); } catch (thrown) { error = thrown; }
      same(error, null, `${name} of ${value === null ? "null" : Array.isArray(value) ? "a list" : typeof value}`);
    }
  }
  yes(new Event("x", { bubbles: 1 }).bubbles, "what is true is true");
  same(new Event("x", { bubbles: "" }).bubbles, false, "what is false is false");
});

await about("sequences and records", () => {
  same(new Blob(new Set(["a", "b"])).size, 2, "anything that is iterated");
  for (const bad of ["ab", 1, null, {}, { length: 1, 0: "a" }, new Date()]) throws(TypeError, () => new Blob(bad), `no list: ${show(bad)}`);
  let closed = false;
  const iterable = { [Symbol.iterator]: () => ({ next: () => ({ value: Symbol("s"), done: false }), return: () => (closed = true, {}) }) };
  throws(TypeError, () => new Blob(iterable), "an element that fails");
  same(closed, false, "does not close the iterator");
  throws(TypeError, () => new Headers({ [Symbol.iterator]: 1 }), "an iterator that is no function");
  same([...new Headers({ [Symbol.iterator]: undefined, a: "b" })], [["a", "b"]], "an iterator that is not there");
  throws(TypeError, () => new Headers({ [Symbol.iterator]: () => 1 }), "an iterator that gives no object");
});

await about("classes", () => {
  for (const Kind of [Headers, Request, Response, FormData, URL, URLSearchParams, Blob, File, TextEncoder, TextDecoder, ReadableStream, WritableStream, TransformStream, AbortController, AbortSignal, Event, EventTarget, DOMException]) {
    const { name } = Kind;
    const global = Object.getOwnPropertyDescriptor(globalThis, name);
    same([global.enumerable, global.configurable], [false, true], `${name} is global`);
    const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(Kind, "prototype");
    same([writable, enumerable, configurable], [false, false, false], `the prototype of ${name}`);
    const tag = Object.getOwnPropertyDescriptor(Kind.prototype, Symbol.toStringTag);
    same([tag.value, tag.writable, tag.enumerable, tag.configurable], [name, false, false, true], `the tag of ${name}`);
    same(Kind.prototype.constructor, Kind, `the constructor of ${name}`);
    throws(TypeError, () => Kind(), `${name} needs new`);
  }
  class Own extends Headers { more() { return this.get("a"); } }
  const own = new Own({ a: "b" });
  same([own instanceof Headers, own.more(), Object.prototype.toString.call(own)], [true, "b", "[object Headers]"], "are extended");
  class Late extends Response {}
  yes(new Late("x") instanceof Late, "keep their class");
  same(new Late("x").clone().constructor, Response, "a clone is of the first class");
});
