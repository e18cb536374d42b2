// expect: completed "RangeError,RangeError,TypeError,TypeError,TypeError,RangeError,TypeError,TypeError,TypeError"
// grants: fetch
const used = new Response("x").body; await used.cancel(); const locked = new ReadableStream(); locked.getReader();
[() => new Response("", { status: 199 }), () => new Response("", { status: 600 }), () => new Response("", { statusText: "\n" }), () => new Response("x", { status: 204 }),
 () => Response.redirect("/x"), () => Response.redirect("http://a/", 200), () => Response.json(undefined), () => new Response(used), () => new Response(locked)]
  .map((f) => { try { f(); return "no" } catch (e) { return e.name } }).join()
