// expect: completed "4.5,undefined,0"
// Bounds are checked once for a hot loop, and the array is cut in the middle of it.
function sum(a, o) {
  let s = 0;
  for (let i = 0; i < 8; i++) {
    if (i === 4) o.hook(a);
    const v = a[i];
    s += v === undefined ? 0 : v;
  }
  return s;
}
const quiet = { hook() {} };
for (let i = 0; i < 30000; i++) sum([1.5, 1, 1, 1, 1, 1, 1, 1], quiet);
const a = [1.5, 1, 1, 1, 1, 1, 1, 1];
const s = sum(a, { hook(x) { x.length = 0; x.length = 8; } });
`${s},${a[7]},${a.filter(() => true).length}`
