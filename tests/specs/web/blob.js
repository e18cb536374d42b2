// expect: completed "5,text/plain,aé!z,é,5"
const b = new Blob(["aé", new Uint8Array([33]), new Blob(["z"])], { type: "Text/Plain" }); [b.size, b.type, await b.text(), await b.slice(1, 3).text(), (await b.arrayBuffer()).byteLength].join()
