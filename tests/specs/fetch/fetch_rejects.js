// expect: completed "TypeError,TypeError,TypeError,TypeError,1,fetch"
// grants: fetch
const seen = []; for (const args of [[], ["x:"], ["/x"], ["http://a/", { method: "GET", body: "x" }]]) { const p = fetch(...args); if (!(p instanceof Promise)) throw 1; try { await p } catch (e) { seen.push(e.name) } }
seen.push(fetch.length, fetch.name); seen.join()
