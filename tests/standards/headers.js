const pairs = (headers) => [...headers];

await about("what headers are made from", () => {
  same(pairs(new Headers()), [], "nothing");
  same(pairs(new Headers(undefined)), [], "undefined");
  same(pairs(new Headers({})), [], "an empty record");
  same(pairs(new Headers([])), [], "an empty list");
  same(pairs(new Headers({ B: "2", a: "1" })), [["a", "1"], ["b", "2"]], "a record, sorted");
  same(pairs(new Headers([["b", "2"], ["a", "1"], ["B", "3"]])), [["a", "1"], ["b", "2, 3"]], "pairs");
  same(pairs(new Headers(new Headers({ x: "y" }))), [["x", "y"]], "headers");
  same(pairs(new Headers(new Map([["x", "y"]]))), [["x", "y"]], "a map");
  same(pairs(new Headers((function* () { yield ["g", "1"]; })())), [["g", "1"]], "a generator");
  same(pairs(new Headers([new Set(["n", "v"])])), [["n", "v"]], "pairs that are sets");
  for (const [bad, what] of [[null, "null"], [1, "a number"], ["x", "a text"], [true, "a boolean"]]) {
    throws(TypeError, () => new Headers(bad), what);
  }
  for (const bad of [[["a"]], [["a", "b", "c"]], [[]], ["ab"], [1], { "a b": "c" }, { a: "b\0" }, { "é": "1" }, { a: "\u0100" }]) {
    throws(TypeError, () => new Headers(bad), `refuses ${show(bad)}`);
  }
  throws(TypeError, () => Headers(), "a call without new");
  const order = [];
  const record = new Proxy({ a: "1", b: "2" }, {
    ownKeys: (it) => (order.push("keys"), Reflect.ownKeys(it)),
    get: (it, key) => (typeof key === "string" && order.push(`get ${key}`), it[key]),
    getOwnPropertyDescriptor: (it, key) => (order.push(`look ${key}`), Reflect.getOwnPropertyDescriptor(it, key)),
  });
  new Headers(record);
  same(order, ["keys", "look a", "get a", "look b", "get b"], "looks at a record in order");
  const hidden = Object.defineProperty({ seen: "1" }, "hidden", { value: "2", enumerable: false });
  same(pairs(new Headers(hidden)), [["seen", "1"]], "what is not enumerable is left out");
  throws(TypeError, () => new Headers({ [Symbol("s")]: "1" }), "symbols are no names");
  const own = new Headers({ a: "1" });
  own[Symbol.iterator] = function* () { yield ["b", "2"]; };
  same(pairs(new Headers(own)), [["b", "2"]], "the iterator of headers is asked, as that of any other");
});

await about("single operations", () => {
  const it = new Headers({ Name: "v" });
  for (const name of ["name", "NAME", "Name", "nAmE"]) {
    same(it.get(name), "v", `get ${name}`);
    same(it.has(name), true, `has ${name}`);
  }
  same(it.get("other"), null, "get of none");
  same(it.has("other"), false, "has none");
  same(it.append("name", "w"), undefined, "append gives nothing");
  same(it.get("name"), "v, w", "append combines");
  same(it.set("NAME", "x"), undefined, "set gives nothing");
  same(it.get("name"), "x", "set replaces");
  same(it.delete("nAme"), undefined, "delete gives nothing");
  same(it.has("name"), false, "delete takes away");
  same(it.delete("none"), undefined, "delete of none");
  it.append("empty", "");
  same(it.get("empty"), "", "an empty value is a value");
  it.append("empty", "");
  same(it.get("empty"), ", ", "two empty values");
  it.set("number", 42);
  same(it.get("number"), "42", "numbers are texts");
  it.set("null", null);
  same(it.get("null"), "null", "null is a text");
  it.set("undefined", undefined);
  same(it.get("undefined"), "undefined", "undefined is a text");
  it.set("list", ["a", "b"]);
  same(it.get("list"), "a,b", "lists are texts");
  for (const name of ["append", "set"]) {
    throws(TypeError, () => it[name](), `${name} of nothing`);
    throws(TypeError, () => it[name]("a"), `${name} of a name`);
  }
  for (const name of ["get", "has", "delete"]) throws(TypeError, () => it[name](), `${name} of nothing`);
});

await about("names and values", () => {
  const it = new Headers();
  for (const name of ["", " ", "a b", "a:b", "a\n", "(", ")", "<", ">", "@", ",", ";", "\\", '"', "/", "[", "]", "?", "=", "{", "}", "\x7f", "\x00", "\x80", "ä", "\u{1f600}"]) {
    for (const method of ["get", "has", "delete"]) throws(TypeError, () => it[method](name), `${method} ${show(name)}`);
    throws(TypeError, () => it.append(name, "v"), `append ${show(name)}`);
  }
  for (const name of ["!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "_", "`", "|", "~", "0", "Z"]) {
    it.set(name, "v");
    same(it.get(name), "v", `name ${name}`);
  }
  for (const value of ["\0", "a\0b", "a\nb", "a\rb", "a\r\nb", "\u0100", "\u{1f600}"]) {
    throws(TypeError, () => it.set("v", value), `set ${show(value)}`);
    throws(TypeError, () => it.append("v", value), `append ${show(value)}`);
  }
  for (const [value, kept] of [[" a ", "a"], ["\t a\t", "a"], ["\na\n", "a"], ["\r\na", "a"], [" ", ""], ["a b", "a b"], ["a\tb", "a\tb"], ["\x01\x7f", "\x01\x7f"], ["\xe9\xff", "\xe9\xff"], ["\x0b a", "\x0b a"], ["\xa0a", "\xa0a"]]) {
    it.set("v", value);
    same(it.get("v"), kept, `value ${show(value)}`);
  }
  same(new Headers([["a", " 1 "], ["a", "\t2"]]).get("a"), "1, 2", "values of a list are stripped");
});

await about("cookies", () => {
  const it = new Headers([["Set-Cookie", "a=1"], ["set-cookie", "b=2"], ["X", "y"]]);
  same(it.getSetCookie(), ["a=1", "b=2"], "each of its own");
  same(it.get("set-cookie"), "a=1, b=2", "get combines");
  same(pairs(it), [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "y"]], "iteration does not");
  it.set("set-cookie", "c=3");
  same(it.getSetCookie(), ["c=3"], "set replaces all");
  it.append("set-cookie", "");
  same(it.getSetCookie(), ["c=3", ""], "an empty one");
  it.delete("SET-COOKIE");
  same(it.getSetCookie(), [], "none");
  same(it.has("set-cookie"), false, "is not there");
  const two = new Headers([["set-cookie", "z=1"], ["set-cookie", "z=1"], ["set-cookie2", "q"], ["a", "b"]]);
  same([...two.keys()], ["a", "set-cookie", "set-cookie", "set-cookie2"], "keys twice");
  same([...two.values()], ["b", "z=1", "z=1", "q"], "values twice");
  same(two.getSetCookie(), ["z=1", "z=1"], "the same twice");
});

await about("iteration", () => {
  const it = new Headers([["c", "3"], ["a", "1"], ["b", "2"]]);
  same([...it.entries()], [["a", "1"], ["b", "2"], ["c", "3"]], "entries");
  same([...it.keys()], ["a", "b", "c"], "keys");
  same([...it.values()], ["1", "2", "3"], "values");
  same(it[Symbol.iterator], it.entries, "the iterator is that of entries");
  const seen = [];
  const self = {};
  same(it.forEach(function (value, name, all) { seen.push(value, name, all === it, this === self); }, self), undefined, "forEach gives nothing");
  same(seen, ["1", "a", true, true, "2", "b", true, true, "3", "c", true, true], "forEach");
  throws(TypeError, () => it.forEach(), "forEach of nothing");
  throws(TypeError, () => it.forEach({}), "forEach of no function");
  const keys = it.keys();
  keys.next();
  it.append("aa", "x");
  same(keys.next().value, "aa", "what is added is seen");
  it.delete("aa");
  same(keys.next().value, "c", "what is taken away moves the rest");
  same(keys.next(), { value: undefined, done: true }, "the end");
  it.append("d", "4");
  same(keys.next().done, false, "live until the end of the list");
  const proto = Object.getPrototypeOf(it.entries());
  same(Object.prototype.toString.call(it.entries()), "[object Headers Iterator]", "is named");
  throws(TypeError, () => proto.next.call({}), "next of another");
  same(Object.getPrototypeOf(proto), Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())), "is an iterator");
});

await about("shape", () => {
  same(Object.prototype.toString.call(new Headers()), "[object Headers]", "is named");
  same(Headers.length, 0, "length");
  same(Headers.name, "Headers", "name");
  for (const [name, length] of [["append", 2], ["delete", 1], ["get", 1], ["has", 1], ["set", 2], ["getSetCookie", 0], ["forEach", 1], ["keys", 0], ["values", 0], ["entries", 0]]) {
    same(Headers.prototype[name].length, length, `length of ${name}`);
    same(Headers.prototype[name].name, name, `name of ${name}`);
    const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(Headers.prototype, name);
    same([enumerable, writable, configurable], [true, true, true], `attributes of ${name}`);
    throws(TypeError, () => Headers.prototype[name].call({}, "a", "b"), `${name} of another`);
  }
});

await about("guards", () => {
  const request = new Request("http://a.test/");
  for (const name of ["Accept-Charset", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Set-Cookie", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Proxy-", "Proxy-Authorization", "Sec-", "sec-fetch-mode"]) {
    request.headers.append(name, "x");
    request.headers.set(name, "x");
    same(request.headers.has(name), false, `a request does not say ${name}`);
  }
  for (const name of ["Accept", "Content-Type", "Authorization", "User-Agent", "Secure", "Proxied", "X-Sec-"]) {
    request.headers.set(name, "x");
    same(request.headers.get(name), "x", `a request says ${name}`);
  }
  for (const value of ["TRACE", "get, track", " connect ", "GET,connect"]) {
    request.headers.set("X-HTTP-Method-Override", value);
    same(request.headers.has("X-HTTP-Method-Override"), false, `overrides ${value}`);
  }
  request.headers.set("x-method-override", "PATCH");
  same(request.headers.get("x-method-override"), "PATCH", "an override that is allowed");
  const response = new Response("", { headers: [["Set-Cookie", "a=b"], ["set-cookie2", "c"], ["x", "y"]] });
  same(pairs(response.headers), [["content-type", "text/plain;charset=UTF-8"], ["x", "y"]], "a response sets no cookies");
  for (const fixed of [Response.error(), Response.redirect("http://a.test/")]) {
    for (const change of ["append", "set", "delete"]) throws(TypeError, () => fixed.headers[change]("a", "b"), `${fixed.status} ${change}`);
    throws(TypeError, () => fixed.headers.append("a b", "c"), `${fixed.status} a wrong name`);
  }
});
