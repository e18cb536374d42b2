// expect: completed "200,true,,default,,false,null,false,0"
// grants: fetch
const r = new Response(); [r.status, r.ok, r.statusText, r.type, r.url, r.redirected, String(r.body), r.bodyUsed, (await r.bytes()).length].join()
