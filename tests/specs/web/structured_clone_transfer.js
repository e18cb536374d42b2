// expect: completed "0,true,8"
const b = new ArrayBuffer(8); const c = structuredClone({ b }, { transfer: [b] }); [b.byteLength, b.detached, c.b.byteLength].join()
