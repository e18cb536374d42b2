await about("AbortController", () => {
  const it = new AbortController();
  yes(it.signal instanceof AbortSignal, "has a signal");
  same(it.signal, it.signal, "the same each time");
  same([it.signal.aborted, it.signal.reason, it.signal.onabort], [false, undefined, null], "is not aborted");
  same(it.abort(), undefined, "abort gives nothing");
  same([it.signal.aborted, it.signal.reason.name, it.signal.reason.code], [true, "AbortError", 20], "is aborted");
  const { reason } = it.signal;
  it.abort("again");
  same(it.signal.reason, reason, "only once");
  for (const value of [null, 0, "", false, "x"]) {
    const one = new AbortController();
    one.abort(value);
    same(one.signal.reason, value, `reason ${show(value)}`);
  }
  const none = new AbortController();
  none.abort(undefined);
  same(none.signal.reason.name, "AbortError", "undefined is no reason");
  throws(TypeError, () => AbortController(), "a call without new");
  throws(TypeError, () => new AbortSignal(), "a signal is not made");
  same(Object.prototype.toString.call(it), "[object AbortController]", "is named");
  same(Object.prototype.toString.call(it.signal), "[object AbortSignal]", "so is the signal");
});

await about("events", () => {
  const it = new AbortController();
  const seen = [];
  it.signal.onabort = (event) => seen.push("on", event.type, event.target === it.signal, event.isTrusted, event.bubbles, event.cancelable);
  it.signal.addEventListener("abort", () => seen.push("listener"));
  it.signal.addEventListener("abort", () => seen.push("once"), { once: true });
  it.abort();
  it.abort();
  same(seen, ["on", "abort", true, true, false, false, "listener", "once"], "come once and in order");
  const removed = new AbortController();
  let calls = 0;
  const listener = () => calls++;
  removed.signal.addEventListener("abort", listener);
  removed.signal.removeEventListener("abort", listener);
  removed.abort();
  same(calls, 0, "one that is removed");
  const late = AbortSignal.abort();
  late.addEventListener("abort", listener);
  same(calls, 0, "none after it");
  const control = new AbortController();
  const target = new EventTarget();
  target.addEventListener("x", listener, { signal: control.signal });
  target.dispatchEvent(new Event("x"));
  control.abort();
  target.dispatchEvent(new Event("x"));
  same(calls, 1, "a listener goes with its signal");
});

await about("statics", async () => {
  same([AbortSignal.abort().aborted, AbortSignal.abort().reason.name], [true, "AbortError"], "abort");
  same(AbortSignal.abort("x").reason, "x", "abort with a reason");
  const timeout = AbortSignal.timeout(1);
  same(timeout.aborted, false, "a timeout");
  while (!timeout.aborted) await tick();
  same([timeout.aborted, timeout.reason.name, timeout.reason.code], [true, "TimeoutError", 23], "comes");
  for (const bad of [-1, NaN, Infinity, "x", undefined]) throws(TypeError, () => AbortSignal.timeout(bad), `timeout ${show(bad)}`);
  throws(TypeError, () => AbortSignal.timeout(), "timeout of nothing");
  const a = new AbortController(), b = new AbortController();
  const any = AbortSignal.any([a.signal, b.signal]);
  same(any.aborted, false, "any");
  b.abort("b");
  a.abort("a");
  same([any.aborted, any.reason], [true, "b"], "follows the first");
  same(AbortSignal.any([]).aborted, false, "any of none");
  same(AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason, 1, "any of aborted ones");
  const c = new AbortController();
  const chain = AbortSignal.any([AbortSignal.any([c.signal])]);
  const order = [];
  c.signal.onabort = () => order.push("source");
  chain.onabort = () => order.push("chain");
  c.abort();
  same(order, ["source", "chain"], "the source is first");
  throws(TypeError, () => AbortSignal.any(), "any of nothing");
  throws(TypeError, () => AbortSignal.any([1]), "any of no signals");
  throws(TypeError, () => AbortSignal.any({}), "any of no list");
});

await about("throwIfAborted", () => {
  const it = new AbortController();
  same(it.signal.throwIfAborted(), undefined, "gives nothing");
  const reason = new Error("x");
  it.abort(reason);
  throws(reason, () => it.signal.throwIfAborted(), "throws the reason");
  throws(undefined, () => { throw undefined; }, "undefined is thrown as well");
  throws(TypeError, () => AbortSignal.prototype.throwIfAborted.call({}), "of another");
});
