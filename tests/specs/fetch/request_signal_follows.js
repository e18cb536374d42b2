// expect: completed "false,true,why,true,true,false"
// grants: fetch
const c = new AbortController(); const q = new Request("http://a/", { signal: c.signal }); const k = q.clone();
const seen = [q.signal === c.signal]; let heard = false; q.signal.onabort = () => heard = true; c.abort("why");
seen.push(q.signal.aborted, q.signal.reason, heard, k.signal.aborted, new Request(q, { signal: null }).signal.aborted); seen.join()
