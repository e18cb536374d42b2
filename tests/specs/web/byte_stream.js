// expect: completed "7,8"
const s = new ReadableStream({ type: "bytes", pull(c) { c.enqueue(new Uint8Array([7, 8])); c.close() } }); const { value } = await s.getReader({ mode: "byob" }).read(new Uint8Array(4)); [...value].join()
