// expect: completed "true,object,3,1.5"
// Numbers become objects, and integers fractions, while a hot loop stores into the same array.
function fill(a, v, f) { for (let i = 0; i < a.length; i++) { a[i] = v; f(a, i); } return a; }
const nothing = () => {};
for (let i = 0; i < 5000; i++) fill([1, 2, 3, 4], i, nothing);
for (let i = 0; i < 5000; i++) fill([1.5, 2.5, 3.5], 0.25, nothing);
const marker = {};
const mixed = fill([1, 2, 3, 4], 7, (a, i) => { if (i === 1) a[2] = marker; if (i === 2) a[0] = marker; });
const doubles = fill([1.1, 2.2, 3.3], 1.5, (a, i) => { if (i === 0) a[1] = marker; });
`${mixed[0] === marker},${typeof mixed[0]},${doubles.length},${doubles[1]}`
