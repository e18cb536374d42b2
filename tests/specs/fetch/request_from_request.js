// expect: completed "POST,true,sent,b,PUT,other,TypeError"
// grants: fetch
const q = new Request("http://a/", { method: "POST", body: "sent", headers: { a: "b" } }); const p = new Request(q);
const seen = [p.method, q.bodyUsed, await p.text(), p.headers.get("a")];
const o = new Request(new Request("http://a/", { method: "POST", body: "x" }), { method: "PUT", body: "other" }); seen.push(o.method, await o.text());
try { new Request(q) } catch (e) { seen.push(e.name) }
seen.join()
