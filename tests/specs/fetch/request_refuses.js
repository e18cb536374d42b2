// expect: completed "ok"
// grants: fetch
const bad = [["/relative"], ["http://u:p@a/"], ["http://a/", { method: "GET", body: "x" }], ["http://a/", { method: "HEAD", body: "" }],
  ["http://a/", { method: "TRACE" }], ["http://a/", { method: "connect" }], ["http://a/", { method: "a b" }], ["http://a/", { mode: "navigate" }],
  ["http://a/", { mode: "x" }], ["http://a/", { redirect: "x" }], ["http://a/", { cache: "only-if-cached" }], ["http://a/", { window: 1 }],
  ["http://a/", { signal: {} }], ["http://a/", { referrer: "http://" }], ["http://a/", 1], ["http://a/", { method: "POST", body: new ReadableStream() }],
  ["http://a/", { method: "POST", body: new ReadableStream(), duplex: "full" }], ["http://a/", { method: "POST", body: new ReadableStream(), duplex: "half", keepalive: true }]];
const wrong = bad.filter((args) => { try { new Request(...args); return true } catch (e) { return !(e instanceof TypeError) } });
wrong.length ? JSON.stringify(wrong) : "ok"
