// expect: completed "1,2|1|null|file,blob,x/y|a,b,a|3|TypeError,TypeError,TypeError"
// grants: fetch
const f = new FormData(); f.append("a", 1); f.append("b", new Blob(["x"], { type: "x/y" })); f.append("a", "2");
const seen = [f.getAll("a").join(), f.get("a"), String(f.get("c"))]; const file = f.get("b"); seen.push([file instanceof File ? "file" : "", file.name, file.type].join(), [...f.keys()].join());
f.set("a", "3"); seen.push(f.getAll("a").join());
seen.push([() => f.append("x"), () => f.append("x", "text", "name"), () => new FormData({})].map((g) => { try { g(); return "no" } catch (e) { return e.name } }).join()); seen.join("|")
