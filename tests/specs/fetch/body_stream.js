// expect: completed "150000,3,true,bytes"
// grants: fetch
const r = new Response(new Uint8Array(150_000)); let length = 0, pieces = 0; for await (const p of r.body) { length += p.length; pieces++ }
const b = new Response("bytes").body.getReader({ mode: "byob" }); const { value } = await b.read(new Uint8Array(10));
[length, pieces, r.bodyUsed, new TextDecoder().decode(value)].join()
