// expect: completed "20000"
const all = Array.from({ length: 20_000 }, (_, i) => Promise.reject(i));
(await Promise.allSettled(all)).length
