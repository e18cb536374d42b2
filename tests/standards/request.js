const URL_ = "http://a.test/p?q";
const post = (init) => new Request(URL_, { method: "POST", ...init });

await about("defaults", () => {
  const it = new Request(URL_);
  for (const [name, value] of Object.entries({ method: "GET", url: URL_, destination: "", referrer: "about:client", referrerPolicy: "", mode: "cors", credentials: "same-origin", cache: "default", redirect: "follow", integrity: "", keepalive: false, duplex: "half", body: null, bodyUsed: false, isReloadNavigation: false, isHistoryNavigation: false })) {
    same(it[name], value, name);
  }
  yes(it.headers instanceof Headers, "headers");
  same(it.headers, it.headers, "the same headers each time");
  yes(it.signal instanceof AbortSignal, "signal");
  same(it.signal, it.signal, "the same signal each time");
  same(it.signal.aborted, false, "is not aborted");
  same(Object.prototype.toString.call(it), "[object Request]", "is named");
  same(Request.length, 1, "length");
  throws(TypeError, () => new Request(), "of nothing");
  throws(TypeError, () => Request(URL_), "a call without new");
});

await about("URLs", () => {
  same(new Request(new URL("http://a.test/b")).url, "http://a.test/b", "a URL");
  same(new Request("HTTP://A.TEST:80/a b").url, "http://a.test/a%20b", "is normalised");
  same(new Request("http://a.test/#f").url, "http://a.test/#f", "keeps its fragment");
  same(new Request({ toString: () => URL_ }).url, URL_, "what becomes a text");
  same(new Request("data:,x").url, "data:,x", "another scheme");
  for (const bad of ["", "/", "relative", "http://", "http://u@a/", "http://:p@a/", "http://u:p@a/", "//a", null, {}]) {
    throws(TypeError, () => new Request(bad), `refuses ${show(bad)}`);
  }
});

await about("methods", () => {
  for (const method of ["get", "Get", "head", "post", "put", "delete", "options"]) {
    same(new Request(URL_, { method }).method, method.toUpperCase(), method);
  }
  for (const method of ["patch", "PATCH", "Patch", "foo", "propfind", "UNICORN"]) {
    same(new Request(URL_, { method }).method, method, `${method} stays`);
  }
  for (const method of ["", " ", "a b", "GET\n", "CONNECT", "connect", "Trace", "TRACK", "é", "\0", "{"]) {
    throws(TypeError, () => new Request(URL_, { method }), `refuses ${show(method)}`);
  }
  same(new Request(URL_, { method: undefined }).method, "GET", "undefined");
  same(new Request(URL_, { method: null }).method, "null", "null is a name");
});

await about("members", () => {
  const values = { mode: ["same-origin", "no-cors", "cors"], credentials: ["omit", "same-origin", "include"], cache: ["default", "no-store", "reload", "no-cache", "force-cache"], redirect: ["follow", "error", "manual"], referrerPolicy: ["", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url"], integrity: ["", "sha256-x"], keepalive: [true, false] };
  for (const name in values) {
    for (const value of values[name]) {
      const it = new Request(URL_, { [name]: value });
      same(it[name], value, `${name} ${value}`);
      same(new Request(it)[name], value, `${name} ${value} of a copy`);
      same(it.clone()[name], value, `${name} ${value} of a clone`);
    }
    if (typeof values[name][0] === "string" && name !== "integrity") {
      throws(TypeError, () => new Request(URL_, { [name]: "other" }), `refuses another ${name}`);
      throws(TypeError, () => new Request(URL_, { [name]: values[name][1].toUpperCase() }), `${name} in capitals`);
    }
  }
  same(new Request(URL_, { cache: "only-if-cached", mode: "same-origin" }).cache, "only-if-cached", "only-if-cached");
  throws(TypeError, () => new Request(URL_, { cache: "only-if-cached" }), "only-if-cached of another mode");
  throws(TypeError, () => new Request(URL_, { mode: "navigate" }), "navigate");
  throws(TypeError, () => new Request(URL_, { window: "x" }), "a window");
  same(new Request(URL_, { window: null }).url, URL_, "no window");
  same(new Request(URL_, { keepalive: 1 }).keepalive, true, "what is true");
  throws(TypeError, () => new Request(URL_, { duplex: "full" }), "full duplex");
  for (const priority of ["high", "low", "auto"]) same(new Request(URL_, { priority }).url, URL_, `priority ${priority}`);
  throws(TypeError, () => new Request(URL_, { priority: "most" }), "another priority");
  for (const bad of [1, "x", true, Symbol("s")]) throws(TypeError, () => new Request(URL_, bad), `init ${String(bad)}`);
  for (const none of [null, undefined, {}]) same(new Request(URL_, none).method, "GET", `init ${show(none)}`);
});

await about("referrer", () => {
  same(new Request(URL_, { referrer: "" }).referrer, "", "none");
  same(new Request(URL_, { referrer: "about:client" }).referrer, "about:client", "the client");
  same(new Request(URL_, { referrer: "http://b.test" }).referrer, "http://b.test/", "a URL");
  throws(TypeError, () => new Request(URL_, { referrer: "http://" }), "no URL");
  const it = new Request(URL_, { referrer: "http://b.test/", referrerPolicy: "origin" });
  same(new Request(it).referrer, "http://b.test/", "a copy keeps it");
  same(new Request(it, {}).referrer, "http://b.test/", "a copy with nothing said keeps it");
  same(new Request(it).referrerPolicy, "origin", "a copy keeps the policy");
  same(new Request(it, { method: "POST" }).referrer, "about:client", "a copy with something said does not");
  same(new Request(it, { method: "POST" }).referrerPolicy, "", "nor the policy");
  same(new Request(it, { referrerPolicy: "unsafe-url" }).referrerPolicy, "unsafe-url", "but what is said");
  same(it.clone().referrer, "http://b.test/", "a clone keeps it");
});

await about("headers of init", () => {
  same(new Request(URL_, { headers: { a: "b" } }).headers.get("a"), "b", "a record");
  same(new Request(URL_, { headers: [["a", "b"]] }).headers.get("a"), "b", "pairs");
  const given = new Headers({ a: "b" });
  const it = new Request(URL_, { headers: given });
  given.set("a", "c");
  same(it.headers.get("a"), "b", "are copied");
  same([...new Request(it).headers], [["a", "b"]], "go along");
  same([...new Request(it, { headers: { c: "d" } }).headers], [["c", "d"]], "are replaced as a whole");
  same([...new Request(it, { headers: {} }).headers], [], "by none as well");
  const copy = new Request(it);
  copy.headers.set("a", "z");
  same(it.headers.get("a"), "b", "a copy has its own");
  throws(TypeError, () => new Request(URL_, { headers: null }), "null");
});

await about("bodies", async () => {
  for (const method of ["GET", "HEAD", "get", "head"]) {
    for (const body of ["", "x", new Uint8Array()]) throws(TypeError, () => new Request(URL_, { method, body }), `${method} with ${show(body)}`);
    same(new Request(URL_, { method, body: null }).body, null, `${method} with null`);
    same(new Request(URL_, { method, body: undefined }).body, null, `${method} with undefined`);
  }
  const form = new FormData();
  form.append("a", "b");
  for (const [body, type] of [["x", "text/plain;charset=UTF-8"], ["", "text/plain;charset=UTF-8"], [1, "text/plain;charset=UTF-8"], [{}, "text/plain;charset=UTF-8"], [new URLSearchParams("a=b"), "application/x-www-form-urlencoded;charset=UTF-8"], [new Uint8Array(3), null], [new ArrayBuffer(3), null], [new DataView(new ArrayBuffer(3)), null], [new Blob(["x"]), null], [new Blob(["x"], { type: "A/b" }), "a/b"]]) {
    const it = post({ body });
    same(it.headers.get("content-type"), type, `type of ${show(body)}`);
    same(post({ body, headers: { "content-type": "own/type" } }).headers.get("content-type"), "own/type", `an own type for ${show(body)}`);
    yes(it.body instanceof ReadableStream, `stream of ${show(body)}`);
    same(it.body, it.body, `the same stream of ${show(body)}`);
  }
  yes(post({ body: form }).headers.get("content-type").startsWith("multipart/form-data; boundary="), "type of a form");
  same(await post({ body: "é€" }).text(), "é€", "text");
  same(await post({ body: new Uint8Array([0, 255]) }).bytes(), new Uint8Array([0, 255]), "bytes");
  same(await post({ body: new Uint8Array([1, 2, 3, 4]).subarray(1, 3) }).bytes(), new Uint8Array([2, 3]), "a part of bytes");
  same(await post({ body: new Uint16Array([258]) }).bytes(), new Uint8Array([2, 1]), "wider numbers");
  same(await post({ body: "{\"a\":[1]}" }).json(), { a: [1] }, "json");
  const bytes = new Uint8Array([1]);
  const copied = post({ body: bytes });
  bytes[0] = 9;
  same(await copied.bytes(), new Uint8Array([1]), "bytes are copied");
  const stream = () => new ReadableStream({ start(it) { it.enqueue(new Uint8Array([65])); it.close(); } });
  throws(TypeError, () => post({ body: stream() }), "a stream without duplex");
  same(await post({ body: stream(), duplex: "half" }).text(), "A", "a stream");
  throws(TypeError, () => post({ body: stream(), duplex: "half", keepalive: true }), "a stream with keepalive");
  const locked = stream();
  locked.getReader();
  throws(TypeError, () => post({ body: locked, duplex: "half" }), "a locked stream");
  const read = stream();
  const reader = read.getReader();
  await reader.read();
  reader.releaseLock();
  throws(TypeError, () => post({ body: read, duplex: "half" }), "a stream that was read from");
});

await about("a request from a request", async () => {
  const first = post({ body: "x" });
  const second = new Request(first);
  same([first.bodyUsed, second.bodyUsed], [true, false], "the body moves");
  throws(TypeError, () => new Request(first), "there is none to move twice");
  throws(TypeError, () => first.clone(), "nor to clone");
  same(await second.text(), "x", "it is there");
  await rejects(TypeError, first.text(), "it is gone");
  const third = post({ body: "x" });
  const fourth = new Request(third, { body: "y" });
  same(third.bodyUsed, false, "another body leaves it");
  same(await fourth.text(), "y", "and is there");
  throws(TypeError, () => new Request(third, { method: "GET" }), "GET takes no body");
  same(third.bodyUsed, false, "a failure leaves it");
  const fifth = post({ body: "x" });
  const stream = fifth.body;
  const sixth = new Request(fifth);
  same([stream.locked, fifth.bodyUsed], [true, true], "a stream that was looked at is locked");
  same(await sixth.text(), "x", "and its content moves");
  const typed = new Request(post({ body: "x" }), { body: new Blob(["b"], { type: "b/c" }) });
  same(typed.headers.get("content-type"), "text/plain;charset=UTF-8", "a type that is said already stays");
  same(new Request(post({ body: "x" }), { method: "PUT" }).method, "PUT", "another method");
  same(new Request(third, { body: null }).bodyUsed, false, "null is no body");
});

await about("clones", async () => {
  const it = post({ body: "x", headers: { a: "b" } });
  const copy = it.clone();
  same([copy.method, copy.url, copy.headers.get("a")], ["POST", URL_, "b"], "has the same");
  copy.headers.set("a", "c");
  same(it.headers.get("a"), "b", "has its own headers");
  same(await it.text() + await copy.text(), "xx", "has its own body");
  throws(TypeError, () => it.clone(), "a used one has none");
  const reading = post({ body: "x" });
  reading.body.getReader();
  throws(TypeError, () => reading.clone(), "a locked one has none");
  const control = new AbortController();
  const followed = new Request(URL_, { signal: control.signal });
  const clone = followed.clone();
  control.abort("why");
  same([followed.signal.aborted, clone.signal.aborted], [true, true], "follows the signal");
  same(clone.signal.reason, "why", "with its reason");
});

await about("signals", () => {
  const control = new AbortController();
  const it = new Request(URL_, { signal: control.signal });
  yes(it.signal !== control.signal, "is another");
  let events = 0;
  it.signal.onabort = () => events++;
  const copy = new Request(it);
  const without = new Request(it, { signal: null });
  control.abort();
  same([it.signal.aborted, copy.signal.aborted, without.signal.aborted], [true, true, false], "follows");
  same(events, 1, "says so once");
  same(it.signal.reason, control.signal.reason, "the same reason");
  same(new Request(URL_, { signal: AbortSignal.abort(1) }).signal.aborted, true, "is aborted from the beginning");
  for (const bad of [{}, 1, "x", new EventTarget()]) throws(TypeError, () => new Request(URL_, { signal: bad }), `refuses ${show(bad)}`);
});

await about("shape", () => {
  for (const name of ["method", "url", "headers", "destination", "referrer", "referrerPolicy", "mode", "credentials", "cache", "redirect", "integrity", "keepalive", "signal", "duplex", "body", "bodyUsed", "isReloadNavigation", "isHistoryNavigation"]) {
    const { get, set, enumerable, configurable } = Object.getOwnPropertyDescriptor(Request.prototype, name);
    same([typeof get, set, enumerable, configurable], ["function", undefined, true, true], `attribute ${name}`);
    throws(TypeError, () => get.call({}), `${name} of another`);
  }
  for (const name of ["clone", "arrayBuffer", "blob", "bytes", "formData", "json", "text"]) {
    const { value, enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(Request.prototype, name);
    same([typeof value, value.length, enumerable, writable, configurable], ["function", 0, true, true, true], `method ${name}`);
  }
});
