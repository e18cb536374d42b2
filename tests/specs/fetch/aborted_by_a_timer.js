// expect: completed "TimeoutError"
// grants: fetch
try { await fetch("http://a.test/", { signal: AbortSignal.timeout(5) }) } catch (e) { e.name }
