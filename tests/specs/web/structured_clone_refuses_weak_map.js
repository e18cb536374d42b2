// expect: completed "DataCloneError,25,true"
try { structuredClone(new WeakMap()) } catch (e) { [e.name, e.code, e instanceof DOMException].join() }
