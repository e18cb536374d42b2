const of = (...pieces) => new ReadableStream({ start(it) { pieces.forEach((piece) => it.enqueue(piece)); it.close(); } });
const sink = (more = {}) => { const seen = []; return [new WritableStream({ write: (piece) => void seen.push(piece), close: () => void seen.push("close"), abort: (why) => void seen.push("abort", why), ...more }), seen]; };
const failing = (error) => new ReadableStream({ start: (it) => it.error(error) });
const error = new Error("mine");

await about("pipeTo", async () => {
  const [to, seen] = sink();
  const from = of(1, 2);
  const piping = from.pipeTo(to);
  same([from.locked, to.locked], [true, true], "locks both");
  same(await piping, undefined, "gives nothing");
  same(seen, [1, 2, "close"], "all of it, and closes");
  same([from.locked, to.locked], [false, false], "releases both");
  const [open, more] = sink();
  await of(1).pipeTo(open, { preventClose: true });
  await of(2).pipeTo(open);
  same(more, [1, 2, "close"], "unless closing is prevented");
  const locked = of();
  locked.getReader();
  await rejects(TypeError, locked.pipeTo(sink()[0]), "from what is locked");
  const busy = sink()[0];
  busy.getWriter();
  await rejects(TypeError, of().pipeTo(busy), "into what is locked");
  for (const bad of [undefined, null, {}, of()]) await rejects(TypeError, of().pipeTo(bad), `into ${show(bad)}`);
  await rejects(TypeError, of().pipeTo(sink()[0], { signal: {} }), "no signal");
  await rejects(TypeError, of().pipeTo(sink()[0], 1), "no options");
});

await about("failures", async () => {
  const [to, seen] = sink();
  await rejects(error, failing(error).pipeTo(to), "of the source");
  same(seen, ["abort", error], "abort the sink");
  const [kept, nothing] = sink();
  await rejects(error, failing(error).pipeTo(kept, { preventAbort: true }), "unless that is prevented");
  same([nothing, kept.locked], [[], false], "then it stays");
  let reason = "none";
  const from = new ReadableStream({ start: (it) => it.enqueue(1), cancel: (why) => void (reason = why) });
  await rejects(error, from.pipeTo(sink({ write() { throw error; } })[0]), "of the sink");
  same(reason, error, "cancel the source");
  reason = "none";
  const left = new ReadableStream({ start: (it) => it.enqueue(1), cancel: (why) => void (reason = why) });
  await rejects(error, left.pipeTo(sink({ write() { throw error; } })[0], { preventCancel: true }), "unless that is prevented");
  same([reason, left.locked], ["none", false], "then it stays");
  const closed = sink()[0];
  await closed.close();
  await rejects(TypeError, of(1).pipeTo(closed), "a sink that is closed");
});

await about("signals", async () => {
  const control = new AbortController();
  const reasons = [];
  const from = new ReadableStream({ cancel: (why) => void reasons.push(why) });
  const [to, seen] = sink();
  const piping = from.pipeTo(to, { signal: control.signal });
  control.abort(error);
  await rejects(error, piping, "reject with their reason");
  same([reasons, seen], [[error], ["abort", error]], "end both");
  await rejects("AbortError", of(1).pipeTo(sink()[0], { signal: AbortSignal.abort() }), "that are aborted before");
  const still = new ReadableStream({ cancel: () => void reasons.push("no") });
  const [open, nothing] = sink();
  await rejects(error, still.pipeTo(open, { signal: AbortSignal.abort(error), preventAbort: true, preventCancel: true }), "with both prevented");
  same([reasons.length, nothing, still.locked, open.locked], [1, [], false, false], "nothing else happens");
});

await about("back-pressure", async () => {
  let pulled = 0;
  const from = new ReadableStream({ pull: (it) => it.enqueue(pulled++) }, { highWaterMark: 0 });
  const control = new AbortController();
  let go;
  const to = new WritableStream({ write: () => new Promise((done) => go = done) }, { highWaterMark: 1 });
  const piping = from.pipeTo(to, { signal: control.signal });
  piping.catch(() => {});
  await tick(3);
  yes(pulled <= 2, "a sink that is slow is waited for");
  const before = pulled;
  go();
  await tick(3);
  yes(pulled > before, "and goes on");
  control.abort();
  for (let i = 0; i < 5; i++) {
    go();
    await tick();
  }
  await rejects("AbortError", piping, "until it is stopped");
});

await about("pipeThrough", async () => {
  const double = () => new TransformStream({ transform: (piece, to) => to.enqueue(piece * 2) });
  const found = [];
  for await (const piece of of(1, 2).pipeThrough(double()).pipeThrough(double())) found.push(piece);
  same(found, [4, 8], "one after the other");
  const pair = { readable: of("r"), writable: new WritableStream() };
  same(of().pipeThrough(pair), pair.readable, "gives the readable end of any pair");
  for (const bad of [{}, { readable: of() }, { writable: new WritableStream() }, null, undefined, { readable: 1, writable: 2 }]) throws(TypeError, () => of().pipeThrough(bad), `not through ${show(bad)}`);
  const locked = of();
  locked.getReader();
  throws(TypeError, () => locked.pipeThrough(double()), "not from what is locked");
  const busy = double();
  busy.writable.getWriter();
  throws(TypeError, () => of().pipeThrough(busy), "not into what is locked");
  await rejects(error, failing(error).pipeThrough(double()).getReader().read(), "errors go through");
  let reason;
  const from = new ReadableStream({ cancel: (why) => void (reason = why) });
  await from.pipeThrough(double()).cancel("why");
  await tick();
  same(reason, "why", "cancels go back");
});

await about("queuing strategies", () => {
  const count = new CountQueuingStrategy({ highWaterMark: 3 });
  same([count.highWaterMark, count.size(), count.size("abc")], [3, 1, 1], "by count");
  const length = new ByteLengthQueuingStrategy({ highWaterMark: 9 });
  same([length.highWaterMark, length.size(new Uint8Array(4)), length.size({})], [9, 4, undefined], "by length");
  for (const Kind of [CountQueuingStrategy, ByteLengthQueuingStrategy]) {
    for (const bad of [undefined, {}, null, 1]) throws(TypeError, () => new Kind(bad), `${Kind.name} of ${show(bad)}`);
    same(new Kind({ highWaterMark: -1 }).highWaterMark, -1, `${Kind.name} takes any number`);
    same(new Kind({ highWaterMark: 1 }).size, new Kind({ highWaterMark: 2 }).size, `${Kind.name} has one size`);
  }
});
