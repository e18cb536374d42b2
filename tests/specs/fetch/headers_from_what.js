// expect: completed "1,2,3,true,TypeError,TypeError,TypeError,TypeError,TypeError"
// grants: fetch
const seen = [new Headers({ a: 1 }).get("A"), new Headers([["a", 2]]).get("a"), new Headers(new Map([["a", "3"]])).get("a"), [...new Headers(undefined)].length === 0];
for (const init of [null, 1, [["a"]], [["a", "b", "c"]], { "é ": "x" }]) { try { new Headers(init); seen.push("no") } catch (e) { seen.push(e.name) } }
seen.join()
