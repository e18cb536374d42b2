// expect: completed "abc,text/plain,true"
const c = structuredClone(new Blob(["abc"], { type: "text/plain" })); [await c.text(), c.type, c instanceof Blob].join()
