// expect: completed "true true"
// A clock that is fine enough would measure what other programs do to the processor's caches.
const steps = new Set();
for (let last = performance.now(); steps.size < 20; ) {
  const now = performance.now();
  if (now !== last) steps.add(Math.round((now - last) * 1000));
  last = now;
  if (now > 5000) break;
}
const microseconds = [...steps];
`${microseconds.every((step) => step >= 99)} ${Number.isInteger(Date.now())}`
