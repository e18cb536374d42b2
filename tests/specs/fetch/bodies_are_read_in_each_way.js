// expect: completed "é,1,2:195:169,2,text/x;charset=utf-8,é,TypeError,true"
// grants: fetch
const r = () => new Response("\uFEFFé", { headers: { "content-type": "Text/X; charset=UTF-8" } }); const b = () => new Response("é");
const seen = [await r().text(), (await new Response("[1]").json())[0]]; const a = new Uint8Array(await b().arrayBuffer()); seen.push(a.length + ":" + a.join(":"));
seen.push((await b().bytes()).length, (await new Response("x", { headers: { "content-type": "Text/X; charset=utf-8" } }).blob()).type, await (await b().blob()).text());
const used = b(); await used.text(); try { await used.text() } catch (e) { seen.push(e.name) } seen.push(used.bodyUsed); seen.join()
