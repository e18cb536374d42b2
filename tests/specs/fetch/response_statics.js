// expect: completed "error,0,false|301,http://a/b|{\"a\":1},application/json,201"
// grants: fetch
const e = Response.error(), d = Response.redirect("http://a/b", 301), j = Response.json({ a: 1 }, { status: 201 });
[[e.type, e.status, e.ok], [d.status, d.headers.get("location")], [await j.text(), j.headers.get("content-type"), j.status]].join("|")
