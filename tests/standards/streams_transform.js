const run = async (stream, pieces) => {
  const writer = stream.writable.getWriter();
  const writing = (async () => { for (const piece of pieces) await writer.write(piece); await writer.close(); })();
  writing.catch(() => {});
  const found = [];
  for await (const piece of stream.readable) found.push(piece);
  await writing;
  return found;
};

await about("transforming", async () => {
  same(await run(new TransformStream(), [1, 2]), [1, 2], "nothing to do");
  same(await run(new TransformStream({ transform: (piece, to) => to.enqueue(piece * 2) }), [1, 2]), [2, 4], "each");
  same(await run(new TransformStream({ transform: (piece, to) => { for (let i = 0; i < piece; i++) to.enqueue(i); } }), [2, 0, 1]), [0, 1, 0], "more or fewer");
  same(await run(new TransformStream({ flush: (to) => to.enqueue("end") }), [1]), [1, "end"], "flush adds");
  same(await run(new TransformStream({ async transform(piece, to) { await tick(); to.enqueue(piece); } }), [1, 2]), [1, 2], "later");
  same(await run(new TransformStream({ start: (to) => to.enqueue("begin") }, {}, { highWaterMark: 1 }), [1]), ["begin", 1], "start adds");
  const it = new TransformStream();
  yes(it.readable instanceof ReadableStream && it.writable instanceof WritableStream, "has two ends");
  throws(TypeError, () => new TransformStreamDefaultController(), "a controller is not made");
  for (const name of ["start", "transform", "flush", "cancel"]) throws(TypeError, () => new TransformStream({ [name]: 1 }), `${name} that is no function`);
  for (const name of ["readableType", "writableType"]) throws(RangeError, () => new TransformStream({ [name]: "bytes" }), name);
});

await about("back-pressure", async () => {
  let calls = 0;
  const it = new TransformStream({ transform: (piece, to) => (calls++, to.enqueue(piece)) });
  const writer = it.writable.getWriter();
  same(writer.desiredSize, 1, "room for one");
  const writing = writer.write(1);
  await tick();
  same([calls, writer.desiredSize], [0, 0], "nothing without a reader");
  const reader = it.readable.getReader();
  same((await reader.read()).value, 1, "until it reads");
  await writing;
  same(calls, 1, "once");
});

await about("ending", async () => {
  const error = new Error("mine");
  for (const name of ["transform", "flush"]) {
    const it = new TransformStream({ [name]() { throw error; } });
    await rejects(error, run(it, [1]), `${name} that throws`);
    await rejects(error, it.writable.getWriter === undefined ? 0 : Promise.resolve().then(() => new WritableStreamDefaultWriter(it.writable)).catch(() => { throw error; }).then(() => { throw error; }), `${name} fails both ends`);
  }
  let control;
  const terminated = new TransformStream({ start: (to) => void (control = to) });
  const reader = terminated.readable.getReader();
  control.terminate();
  same((await reader.read()).done, true, "terminate closes the readable end");
  await rejects(TypeError, terminated.writable.getWriter().write(1), "and fails the writable");
  const failed = new TransformStream({ start: (to) => void (control = to) });
  control.error(error);
  await rejects(error, failed.readable.getReader().read(), "error fails the readable end");
  await rejects(error, failed.writable.getWriter().closed, "and the writable");
  throws(TypeError, () => control.enqueue(1), "nothing after it");
  same(control.desiredSize, null, "no size after it");
  const cancelled = new TransformStream();
  await cancelled.readable.cancel(error);
  await rejects(error, cancelled.writable.getWriter().closed, "cancel fails the writable end");
  const aborted = new TransformStream();
  await aborted.writable.abort(error);
  await rejects(error, aborted.readable.getReader().read(), "abort fails the readable end");
  const reasons = [];
  const noting = () => new TransformStream({ cancel: (why) => void reasons.push(why) });
  await noting().readable.cancel("c");
  await noting().writable.abort("a");
  same(reasons, ["c", "a"], "the transformer hears of both");
});
