// expect: completed "DataCloneError"
const b = new ArrayBuffer(1); structuredClone(b, { transfer: [b] }); try { structuredClone(b, { transfer: [b] }) } catch (e) { e.name }
