// expect: completed "true,true,TypeError,TypeError,TypeError"
// grants: fetch
const r = new Response("x"); await r.text(); const seen = [r.body.locked, r.bodyUsed];
const l = new Response("x"); l.body.getReader();
for (const f of [() => r.body.getReader(), () => l.text(), () => l.clone()]) { try { await f() } catch (e) { seen.push(e.name) } } seen.join()
