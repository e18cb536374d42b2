// expect: completed "DataCloneError,25,true"
try { structuredClone({ a: [function () {}] }) } catch (e) { [e.name, e.code, e instanceof DOMException].join() }
