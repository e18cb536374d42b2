// expect: completed "b,c,c,d,true"
// grants: fetch
const h = new Headers({ b: "1", d: "2" }); const keys = h.keys(); const seen = [keys.next().value];
h.append("c", "3"); seen.push(keys.next().value); h.append("a", "4"); seen.push(keys.next().value, keys.next().value, keys.next().done);
seen.join()
