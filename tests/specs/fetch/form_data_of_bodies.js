// expect: completed "[[\"a\",\"1 2\"],[\"b\",\"ü\"]]|x=text|name.txt:text/plain:hi|TypeError,TypeError,TypeError,TypeError"
// grants: fetch
const url = await new Response(new URLSearchParams([["a", "1 2"], ["b", "ü"]])).formData();
const head = { headers: { "content-type": 'multipart/form-data; boundary="B"' } };
const multi = await new Response('--B\r\nContent-Disposition: form-data; name="x"\r\n\r\ntext\r\n--B\r\ncontent-type: text/plain\r\nContent-Disposition: form-data; name="f"; filename="name.txt"\r\n\r\nhi\r\n--B--\r\n', head).formData();
const file = multi.get("f"); const seen = [JSON.stringify([...url]), "x=" + multi.get("x"), [file.name, file.type, await file.text()].join(":")];
const bad = []; for (const r of [new Response("x"), new Response("", head), new Response("--B\r\nnonsense\r\n\r\n--B--", head), new Response("--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ncut", head)]) { try { await r.formData(); bad.push("no") } catch (e) { bad.push(e.name) } }
seen.push(bad.join()); seen.join("|")
