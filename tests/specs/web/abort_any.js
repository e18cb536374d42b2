// expect: completed "true,5,false"
const a = new AbortController(), b = new AbortController(); const s = AbortSignal.any([a.signal, b.signal]); b.abort(5); [s.aborted, s.reason, a.signal.aborted].join()
