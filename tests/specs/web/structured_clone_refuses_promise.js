// expect: completed "DataCloneError,25,true"
try { structuredClone(Promise.resolve(1)) } catch (e) { [e.name, e.code, e instanceof DOMException].join() }
