// expect: completed "true,TimeoutError"
const s = AbortSignal.timeout(5); await new Promise(r => setTimeout(r, 60)); [s.aborted, s.reason.name].join()
