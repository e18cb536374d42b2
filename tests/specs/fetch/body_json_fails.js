// expect: completed "SyntaxError,SyntaxError,true"
// grants: fetch
const seen = []; const r = new Response("{"); for (const it of [r, new Response()]) { try { await it.json() } catch (e) { seen.push(e.name) } } seen.push(r.bodyUsed); seen.join()
