await about("defaults", () => {
  const it = new Response();
  for (const [name, value] of Object.entries({ type: "default", url: "", redirected: false, status: 200, ok: true, statusText: "", body: null, bodyUsed: false })) same(it[name], value, name);
  same([...it.headers], [], "headers");
  same(it.headers, it.headers, "the same headers each time");
  same(Object.prototype.toString.call(it), "[object Response]", "is named");
  same([Response.length, Response.json.length, Response.redirect.length, Response.error.length], [0, 1, 1, 0], "lengths");
  throws(TypeError, () => Response(), "a call without new");
});

await about("init", () => {
  for (const status of [200, 201, 299, 300, 404, 500, 599]) {
    const it = new Response("", { status });
    same([it.status, it.ok], [status, status < 300], `status ${status}`);
  }
  for (const status of [0, 1, 100, 101, 103, 199, 600, 1000, 65535, 65536, -1, NaN, "x", null]) throws(RangeError, () => new Response("", { status }), `status ${status}`);
  same(new Response("", { status: 65736 }).status, 200, "a status is 16 bits");
  same(new Response("", { status: "404" }).status, 404, "a text of a number");
  same(new Response("", { status: 404.9 }).status, 404, "a part of a number");
  for (const status of [204, 205, 304]) {
    throws(TypeError, () => new Response("", { status }), `${status} with a body`);
    same(new Response(null, { status }).body, null, `${status} without`);
    same(new Response(undefined, { status }).status, status, `${status} with undefined`);
  }
  for (const statusText of ["", "OK", "a b\tc", "\x80\xff"]) same(new Response("", { statusText }).statusText, statusText, `text ${show(statusText)}`);
  for (const statusText of ["\n", "a\r", "\0", "\x7f", "\u0100", "\x01"]) throws(TypeError, () => new Response("", { statusText }), `refuses ${show(statusText)}`);
  same(new Response("", { headers: { a: "b" } }).headers.get("a"), "b", "headers");
  throws(TypeError, () => new Response("", { headers: 1 }), "wrong headers");
  for (const bad of [1, "x", true]) throws(TypeError, () => new Response("", bad), `init ${show(bad)}`);
  for (const none of [null, undefined, {}]) same(new Response("", none).status, 200, `init ${show(none)}`);
  same(new Response("", { status: 404 }).ok, false, "is not ok");
});

await about("statics", async () => {
  const error = Response.error();
  same([error.type, error.status, error.ok, error.statusText, error.body, error.url], ["error", 0, false, "", null, ""], "error");
  for (const status of [301, 302, 303, 307, 308]) {
    const it = Response.redirect("http://a.test/x y", status);
    same([it.status, it.headers.get("location"), it.type, it.body, it.redirected], [status, "http://a.test/x%20y", "default", null, false], `redirect ${status}`);
  }
  same(Response.redirect("http://a.test").status, 302, "redirect");
  for (const status of [200, 300, 304, 309, 400, 0]) throws(RangeError, () => Response.redirect("http://a.test", status), `redirect ${status}`);
  for (const url of ["", "http://", "relative"]) throws(TypeError, () => Response.redirect(url), `redirect to ${show(url)}`);
  throws(TypeError, () => Response.redirect("http://", 1), "the URL is looked at first");
  throws(TypeError, () => Response.redirect(), "redirect to nothing");
  const json = Response.json({ a: [1, "é"] });
  same([json.status, json.headers.get("content-type"), await json.text()], [200, "application/json", '{"a":[1,"é"]}'], "json");
  const own = Response.json(null, { status: 404, statusText: "x", headers: { "content-type": "a/b", c: "d" } });
  same([own.status, own.statusText, own.headers.get("content-type"), own.headers.get("c"), await own.text()], [404, "x", "a/b", "d", "null"], "json with init");
  for (const [value, what] of [[undefined, "undefined"], [() => 1, "a function"], [Symbol("s"), "a symbol"]]) throws(TypeError, () => Response.json(value), `json of ${what}`);
  throws(TypeError, () => Response.json(1n), "json of a large number");
  throws(TypeError, () => Response.json(), "json of nothing");
  for (const status of [204, 205, 304]) throws(TypeError, () => Response.json(1, { status }), `json with ${status}`);
  for (const status of [0, 199, 600]) throws(RangeError, () => Response.json(1, { status }), `json with ${status}`);
  const thrown = new Error("mine");
  throws(thrown, () => Response.json({ get a() { throw thrown; } }), "a getter that throws");
  const order = [];
  Response.json({ toJSON() { order.push("value"); return 1; } }, { get status() { order.push("init"); return 200; } });
  same(order, ["init", "value"], "init is converted first");
  throws(RangeError, () => Response.json({ toJSON: () => 1 }, { status: 1 }), "a wrong status");
  same(await Response.json("\ud800").text(), '"\\ud800"', "half a character");
});

await about("bodies", async () => {
  for (const [body, type, bytes] of [["é", "text/plain;charset=UTF-8", [195, 169]], ["", "text/plain;charset=UTF-8", []], ["\ud800", "text/plain;charset=UTF-8", [239, 191, 189]], [new Uint8Array([1, 2]), null, [1, 2]], [new Uint8Array([1, 2]).buffer, null, [1, 2]], [new Blob(["a"]), null, [97]], [new Blob(["a"], { type: "x/Y" }), "x/y", [97]], [new URLSearchParams("a=b c"), "application/x-www-form-urlencoded;charset=UTF-8", [97, 61, 98, 43, 99]], [7, "text/plain;charset=UTF-8", [55]], [new ReadableStream({ start(it) { it.enqueue(new Uint8Array([5])); it.close(); } }), null, [5]]]) {
    const it = new Response(body);
    same(it.headers.get("content-type"), type, `type of ${show(body)}`);
    same(Array.from(await it.bytes()), bytes, `bytes of ${show(body)}`);
    same(it.bodyUsed, true, `${show(body)} is used`);
  }
  const locked = new ReadableStream();
  locked.getReader();
  throws(TypeError, () => new Response(locked), "a locked stream");
  for (const bad of ["text", 5, null, undefined, {}, [1], "\u0100"]) {
    const it = new Response(new ReadableStream({ start(stream) { stream.enqueue(bad); stream.close(); } }));
    await rejects(TypeError, it.text(), `a stream of ${show(bad)}`);
  }
  const failing = new Response(new ReadableStream({ start(it) { it.error(new RangeError("x")); } }));
  await rejects(RangeError, failing.text(), "a stream that fails");
  const shared = new Response(new Uint8Array([1]));
  const first = await shared.clone().bytes();
  first[0] = 9;
  same(await shared.bytes(), new Uint8Array([1]), "bytes that are read are one's own");
});

await about("used and locked bodies", async () => {
  for (const way of ["arrayBuffer", "blob", "bytes", "text", "json"]) {
    const it = new Response("1");
    const pending = it[way]();
    same([it.bodyUsed, it.body.locked], [true, true], `${way} uses and locks at once`);
    await pending;
    same([it.bodyUsed, it.body.locked], [true, true], `${way} uses and locks for ever`);
    throws(TypeError, () => it.body.getReader(), `no reader after ${way}`);
    throws(TypeError, () => it.body.getReader({ mode: "byob" }), `no byob reader after ${way}`);
    throws(TypeError, () => it.body.tee(), `no tee after ${way}`);
    await rejects(TypeError, it.body.cancel(), `no cancel after ${way}`);
    await rejects(TypeError, it.body.pipeTo(new WritableStream()), `no pipe after ${way}`);
    for (const again of ["arrayBuffer", "blob", "bytes", "text", "json", "formData"]) await rejects(TypeError, it[again](), `${again} after ${way}`);
    throws(TypeError, () => it.clone(), `clone after ${way}`);
  }
  const seen = new Response("1");
  const { body } = seen;
  await seen.text();
  same(body.locked, true, "a stream that was there before is locked");
  throws(TypeError, () => body.getReader(), "and has no reader");
  for (const way of ["arrayBuffer", "blob", "bytes", "text", "json", "formData"]) {
    const it = new Response("1");
    it.body.getReader();
    same(it.bodyUsed, false, `${way}: a reader does not use`);
    await rejects(TypeError, it[way](), `${way} of a locked one`);
    const released = new Response("1");
    const reader = released.body.getReader();
    reader.releaseLock();
    if (way !== "formData") same(typeof await released[way](), way === "text" ? "string" : way === "json" ? "number" : "object", `${way} after a lock`);
  }
  const cancelled = new Response("1");
  await cancelled.body.cancel();
  same(cancelled.bodyUsed, true, "cancel uses");
  await rejects(TypeError, cancelled.text(), "nothing after cancel");
  const empty = new Response();
  same([await empty.text(), await empty.text(), empty.bodyUsed], ["", "", false], "no body is never used");
  const read = new Response("1");
  const reader = read.body.getReader();
  await reader.read();
  same(read.bodyUsed, true, "a read uses");
  const failed = new Response("no json");
  await rejects(SyntaxError, failed.json(), "what is no JSON");
  same(failed.bodyUsed, true, "is used as well");
});

await about("clones", async () => {
  const it = new Response("abc", { status: 201, statusText: "x", headers: { a: "b" } });
  const copy = it.clone();
  same([copy.status, copy.statusText, copy.headers.get("a"), copy.type], [201, "x", "b", "default"], "has the same");
  copy.headers.set("a", "c");
  same(it.headers.get("a"), "b", "has its own headers");
  same([await copy.text(), it.bodyUsed], ["abc", false], "has its own body");
  same(await it.text(), "abc", "leaves the first");
  const stream = new Response(new ReadableStream({ start(s) { s.enqueue(new Uint8Array([1, 2])); s.close(); } }));
  const one = stream.clone();
  const two = one.clone();
  same([await one.bytes(), await two.bytes(), await stream.bytes()], [new Uint8Array([1, 2]), new Uint8Array([1, 2]), new Uint8Array([1, 2])], "a stream, twice");
  const wide = new Uint8Array([1, 2, 3]);
  const source = new Response(new ReadableStream({ start(s) { s.enqueue(wide); s.close(); } }));
  const other = source.clone();
  const a = (await source.body.getReader().read()).value;
  const b = (await other.body.getReader().read()).value;
  a[0] = 99;
  same(b[0], 1, "pieces are not shared");
  same(Response.error().clone().type, "error", "an error");
  throws(TypeError, () => Response.error().clone().headers.set("a", "b"), "with fixed headers");
  const none = new Response().clone();
  same(none.body, null, "no body");
});

await about("streams", async () => {
  const reader = new Response("abc").body.getReader();
  const part = await reader.read();
  yes(part.value instanceof Uint8Array, "gives Uint8Array");
  same([part.done, part.value], [false, new Uint8Array([97, 98, 99])], "the bytes");
  same(await reader.read(), { value: undefined, done: true }, "and ends");
  await reader.closed;
  yes(true, "is closed");
  const byob = new Response(new Uint8Array([1, 2, 3])).body.getReader({ mode: "byob" });
  same((await byob.read(new Uint8Array(2))).value, new Uint8Array([1, 2]), "into a buffer");
  same((await byob.read(new Uint8Array(2))).value, new Uint8Array([3]), "the rest");
  const end = await byob.read(new Uint8Array(2));
  same([end.done, end.value.byteLength], [true, 0], "the end");
  const empty = new Response("").body.getReader();
  same((await empty.read()).done, true, "an empty one ends");
  let text = "";
  for await (const piece of new Response("xyz").body) text += new TextDecoder().decode(piece);
  same(text, "xyz", "is iterated");
  const size = 300_000;
  let total = 0;
  for await (const piece of new Response(new Uint8Array(size)).body) total += piece.byteLength;
  same(total, size, "a large one");
  const upper = new TransformStream({ transform: (piece, to) => to.enqueue(piece.map((byte) => byte - 32)) });
  same(await new Response(new Response("abc").body.pipeThrough(upper)).text(), "ABC", "is piped");
  const [left, right] = new Response("ab").body.tee();
  same([await new Response(left).text(), await new Response(right).text()], ["ab", "ab"], "is split");
  const blob = new Blob(["blob"]);
  same(await new Response(blob.stream()).text(), "blob", "of a blob");
  let reason;
  const it = new Response(new ReadableStream({ cancel(why) { reason = why; } }));
  await it.body.cancel("enough");
  same(reason, "enough", "cancel reaches the source");
});

await about("what is read", async () => {
  const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff]);
  same(await new Response(bytes).text(), "a\ufffd", "text without its mark, wrong bytes replaced");
  same(await new Response("\ufeff1").json(), 1, "json without its mark");
  for (const bad of ["", "{", "undefined", "'a'", "1,"]) await rejects(SyntaxError, new Response(bad).json(), `no json: ${show(bad)}`);
  const buffer = await new Response("ab").arrayBuffer();
  yes(buffer instanceof ArrayBuffer, "a buffer");
  same(buffer.byteLength, 2, "of its size");
  for (const [type, shown] of [["text/plain", "text/plain"], ["A/B;C=D", "a/b;c=D"], ["bad", ""], ["text/html; charset=utf-8", "text/html;charset=utf-8"], ["", ""], ["text/html, text/plain", "text/plain"], ["text/html;charset=x, text/html", "text/html;charset=x"], ["text/html, */*", "text/html"], ["text/html;a=\"b,c\"", 'text/html;a="b,c"']]) {
    same((await new Response("x", { headers: { "content-type": type } }).blob()).type, shown, `type of a blob: ${show(type)}`);
  }
  same((await new Response(new Uint8Array(3)).blob()).size, 3, "size of a blob");
  same((await new Response(new Uint8Array(3)).blob()).type, "", "a blob without a type");
});

await about("shape", () => {
  for (const name of ["type", "url", "redirected", "status", "ok", "statusText", "headers", "body", "bodyUsed"]) {
    const { get, set, enumerable, configurable } = Object.getOwnPropertyDescriptor(Response.prototype, name);
    same([typeof get, set, enumerable, configurable], ["function", undefined, true, true], `attribute ${name}`);
    throws(TypeError, () => get.call({}), `${name} of another`);
  }
  for (const name of ["clone", "arrayBuffer", "blob", "bytes", "formData", "json", "text"]) {
    const { value, enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(Response.prototype, name);
    same([typeof value, value.length, enumerable, writable, configurable], ["function", 0, true, true, true], `method ${name}`);
  }
  for (const name of ["error", "redirect", "json"]) yes(Object.getOwnPropertyDescriptor(Response, name).enumerable, `static ${name}`);
});
for (const way of ["arrayBuffer", "blob", "bytes", "formData", "json", "text"]) {
  await about("promises", () => rejects(TypeError, Response.prototype[way].call({}), `${way} of another`));
}
