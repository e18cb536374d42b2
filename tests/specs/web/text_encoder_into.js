// expect: completed "2,4,97,226,130,172"
const b = new Uint8Array(4); const r = new TextEncoder().encodeInto("a€€", b); [r.read, r.written, ...b].join()
