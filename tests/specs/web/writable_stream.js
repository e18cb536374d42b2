// expect: completed "1,2,end"
const got = []; const w = new WritableStream({ async write(c) { await null; got.push(c) }, close() { got.push("end") } }).getWriter(); w.write(1); w.write(2); await w.close(); got.join()
