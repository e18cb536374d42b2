// expect: completed "DataCloneError"
const b = new ArrayBuffer(1); try { structuredClone(b, { transfer: [b, b] }) } catch (e) { e.name }
