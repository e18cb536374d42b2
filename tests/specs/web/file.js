// expect: completed "n.txt,3,5,a/b,true,abc"
const f = new File(["abc"], "n.txt", { lastModified: 5, type: "a/b" }); [f.name, f.size, f.lastModified, f.type, f instanceof Blob, await f.text()].join()
