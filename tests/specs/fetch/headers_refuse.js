// expect: completed "TypeError,TypeError,TypeError,TypeError,TypeError,TypeError,TypeError,TypeError"
// grants: fetch
const h = new Headers(); const seen = [];
for (const bad of [() => h.append("", "x"), () => h.append("a b", "x"), () => h.append("a:", "x"), () => h.set("a", "x\ny"), () => h.set("a", "\0"),
  () => h.set("a", "ā"), () => h.get("a\n"), () => h.append("a")]) { try { bad(); seen.push("no") } catch (e) { seen.push(e.name) } }
seen.join()
