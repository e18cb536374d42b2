// expect: completed "DataCloneError,25,true"
try { structuredClone(Symbol("s")) } catch (e) { [e.name, e.code, e instanceof DOMException].join() }
