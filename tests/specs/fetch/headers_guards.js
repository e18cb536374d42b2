// expect: completed "null|null|null|TypeError|TypeError|[]|1"
// grants: fetch
const seen = []; const q = new Request("http://a/"), r = new Response();
q.headers.set("Host", "x"); q.headers.append("sec-x", "y"); r.headers.append("Set-Cookie", "a=b");
seen.push(q.headers.get("host"), q.headers.get("sec-x"), r.headers.get("set-cookie"));
for (const h of [Response.error().headers, Response.redirect("http://a/").headers]) { try { h.append("a", "b") } catch (e) { seen.push(e.name) } }
q.headers.set("X-Own", "1");
seen.push(JSON.stringify(r.headers.getSetCookie()), q.headers.get("x-own")); seen.map(String).join("|")
