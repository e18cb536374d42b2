// expect: completed "AbortError,m,20,true"
const c = structuredClone(new DOMException("m", "AbortError")); [c.name, c.message, c.code, c instanceof DOMException].join()
