// expect: completed "a: 9; b: 2|true|false"
// grants: fetch
const h = new Headers([["a", "1"], ["b", "2"], ["A", "3"]]); h.set("A", "9");
const seen = [[...h].map((p) => p.join(": ")).join("; "), h.has("B")]; h.delete("B"); seen.push(h.has("b")); seen.join("|")
