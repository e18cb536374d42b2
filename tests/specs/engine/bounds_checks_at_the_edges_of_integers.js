// expect: completed "undefined,undefined,undefined,undefined,0,ok"
// Indices whose range a compiler could get wrong: minus zero, overflow, shifts, Math.
function at(a, i) { i = i | 0; return a[Math.max(i, -2147483648) >> 31 & 3 ? i >>> 0 : i + 0x7fffffff]; }
function far(a, x) { const i = Math.expm1(x); return Object.is(i, -0) ? a[1024] : a[i * 1337]; }
function wrap(a, n) { let i = (n >>> 0) + 0x80000000; return a[i - 0x7fffffff]; }
function shift(a, n) { return a[(n & 0xff) * 0x1010101 | 0x7f000000]; }
const a = [1.1, 2.2, 3.3];
for (let i = 0; i < 30000; i++) { at(a, i); far(a, 0); wrap(a, i); shift(a, i); }
const typed = new Uint8Array(8);
function byte(t, i) { if (i < 0 || i > 7) return 0; return t[i]; }
for (let i = 0; i < 30000; i++) byte(typed, i & 15);
`${at(a, -1)},${far(a, -0)},${wrap(a, 0x7fffffff)},${shift(a, 255)},${byte(typed, 2 ** 32)},ok`
