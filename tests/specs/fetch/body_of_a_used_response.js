// expect: completed "true,true,TypeError,TypeError"
// grants: fetch
const r = new Response("x"); await r.text(); const seen = [(await r.body.getReader().read()).done, r.bodyUsed];
const l = new Response("x"); l.body.getReader(); for (const f of [() => l.text(), () => l.clone()]) { try { await f() } catch (e) { seen.push(e.name) } } seen.join()
