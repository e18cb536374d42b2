// expect: completed "0,undefined|1,2|4|1,1,|true"
// Callbacks of the array's own methods cut it, and grow it again.
const out = [];
const sliced = [1.1, 2.2, 3.3, 4.4];
const cut = sliced.slice(0, { valueOf() { sliced.length = 0; return 4; } });
out.push(`${sliced.length},${cut[0]}`);
const mapped = [1, 2, 3, 4, 5];
out.push(mapped.map((x) => { mapped.length = 2; return x; }).filter((x) => x !== undefined).join(","));
const reduced = new Array(100).fill(1);
let seen = 0;
reduced.forEach((_, i) => { if (i === 3) reduced.length = 0; seen++; });
out.push(seen);
const filled = [0, 0, 0];
filled.fill(1, { valueOf() { filled.length = 0; filled.length = 3; return 0; } }, 2);
out.push(filled.join(","));
const index = [1, 2, 3];
out.push(index.includes(undefined, { valueOf() { index.length = 1; return 0; } }));
out.join("|")
