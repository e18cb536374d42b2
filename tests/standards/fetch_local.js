// fetch as far as it needs no network.
const typeOf = async (url, init) => (await fetch(url, init)).headers.get("content-type");

await about("data URLs", async () => {
  const fallback = "text/plain;charset=US-ASCII";
  for (const [url, type, text] of [
    ["data:,", fallback, ""], ["data:,x", fallback, "x"], ["data:,%41%zz", fallback, "A%zz"], ["data:text/html,x", "text/html", "x"], ["data:;charset=utf-8,x", "text/plain;charset=utf-8", "x"], ["data:a,x", fallback, "x"], ["data:text/plain;base64,YQ==", "text/plain", "a"], ["data:;base64,YQ==", fallback, "a"], ["data:text/plain; base64,YQ==", "text/plain", "a"], ["data:text/plain;   BASE64,YQ==", "text/plain", "a"], ["data:text/plain;base64 ,YQ==", "text/plain", "a"], ["data: text/plain;base64\t,YQ==", "text/plain", "a"], ["data:  ;base64  ,YQ==", fallback, "a"], ["data:text/plain;base64;x=y,YQ==", "text/plain;x=y", "YQ=="], ["data:text/plain;\u00a0base64,YQ", "text/plain", "YQ"], ["data:base64,YQ", fallback, "YQ"], ["data:;base64,Y Q", fallback, "a"], ["data:;base64,YQ%3D%3D", fallback, "a"], ["data:,a,b", fallback, "a,b"], ["data:,x?y", fallback, "x?y"], ["data:,x#y", fallback, "x"], ["DATA:,x", fallback, "x"], ["data:TEXT/HTML;A=B,x", "text/html;a=B", "x"], ["data:text/html;charset=\"a b\",x", 'text/html;charset="a b"', "x"], ["data:text/html,<b> x</b>", "text/html", "<b> x</b>"],
  ]) {
    const it = await fetch(url);
    same(it.headers.get("content-type"), type, `type of ${show(url)}`);
    same(await it.text(), text, `text of ${show(url)}`);
  }
  const it = await fetch("data:,x");
  same([it.status, it.statusText, it.ok, it.type, it.redirected, it.url], [200, "OK", true, "basic", false, "data:,x"], "the response");
  same((await fetch("data:,x#y")).url, "data:,x", "has no fragment");
  throws(TypeError, () => it.headers.set("a", "b"), "has fixed headers");
  for (const bad of ["data:", "data:text/plain", "data:;base64,*", "data:;base64,Y", "data:;base64,YQ=", "data:;base64,%FF", "data:;base64,%EF%BB%BFYQ"]) await rejects(TypeError, fetch(bad), `refuses ${bad}`);
  const head = await fetch("data:,x", { method: "HEAD" });
  same([head.body, await head.text(), head.headers.get("content-type")], [null, "", fallback], "HEAD has no body");
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "X"]) same(await (await fetch("data:,x", { method })).text(), "x", `${method}`);
  same(await (await fetch("data:,x", { method: "POST", body: "b" })).text(), "x", "a body goes nowhere");
  same(new Uint8Array(await (await fetch("data:;base64,AP8=")).arrayBuffer()), new Uint8Array([0, 255]), "binary");
  same(await (await fetch(new Request("data:,r"))).text(), "r", "a request");
  same(await (await fetch(new URL("data:,u"))).text(), "u", "a URL");
});

await about("blob URLs", async () => {
  const url = URL.createObjectURL(new Blob(["blob"], { type: "a/b" }));
  const it = await fetch(url);
  same([it.status, it.type, it.headers.get("content-type"), it.headers.get("content-length"), await it.text()], [200, "basic", "a/b", "4", "blob"], "the response");
  same(it.url, url, "its URL");
  same(await typeOf(URL.createObjectURL(new Blob(["x"]))), "", "no type");
  same(await (await fetch(`${url}#f`)).text(), "blob", "a fragment");
  for (const method of ["HEAD", "POST", "PUT", "DELETE"]) await rejects(TypeError, fetch(url, { method }), method);
  await rejects(TypeError, fetch("blob:null/none"), "one that is not there");
  await rejects(TypeError, fetch(`${url}?q`), "one with a query");
  URL.revokeObjectURL(url);
  await rejects(TypeError, fetch(url), "one that is revoked");
});

await about("what is not fetched", async () => {
  for (const url of ["file:///etc/passwd", "ftp://a.test/", "about:config", "javascript:1", "ws://a.test/", "x:y", "chrome://a", "blob:x"]) await rejects(TypeError, fetch(url), url);
  for (const bad of [undefined, null, {}, "", "relative", "http://", "http://u:p@a.test/"]) await rejects(TypeError, fetch(bad), `fetch ${show(bad)}`);
  await rejects(TypeError, fetch(), "nothing");
  await rejects(TypeError, fetch("data:,", { method: "TRACE" }), "a wrong method");
  await rejects(TypeError, fetch("data:,", { headers: { "a b": "c" } }), "a wrong header");
  await rejects(TypeError, fetch("data:,", 1), "a wrong init");
  yes(fetch("data:,") instanceof Promise, "gives a promise");
  same([fetch.length, fetch.name], [1, "fetch"], "its length and name");
  throws(TypeError, () => new fetch("data:,"), "is no class");
});

await about("aborts", async () => {
  const reason = new Error("mine");
  await rejects(reason, fetch("data:,", { signal: AbortSignal.abort(reason) }), "with a reason");
  await rejects("AbortError", fetch("data:,", { signal: AbortSignal.abort() }), "without one");
  await rejects(0, fetch("data:,", { signal: AbortSignal.abort(0) }), "with anything");
  await rejects("AbortError", fetch(new Request("data:,", { signal: AbortSignal.abort() })), "of a request");
  const overridden = new Request("data:,x", { signal: AbortSignal.abort() });
  same(await (await fetch(overridden, { signal: null })).text(), "x", "that is overridden");
  const control = new AbortController();
  const it = new Request("data:,x", { method: "POST", body: "b", signal: control.signal });
  control.abort(reason);
  await rejects(reason, fetch(it), "before it is fetched");
  same(it.bodyUsed, true, "the body is used nevertheless");
  let cancelled;
  const body = new ReadableStream({ cancel(why) { cancelled = why; } });
  await rejects(reason, fetch("http://a.test/", { method: "POST", body, duplex: "half", signal: control.signal }), "with a stream");
  await tick();
  same(cancelled, reason, "which is cancelled");
  await rejects(TypeError, fetch("data:,", { signal: {} }), "no signal");
  await rejects(TypeError, fetch("relative", { signal: AbortSignal.abort(reason) }), "the request is made first");
});
