// expect: completed "42"
for (const x of [1, 2]) { if (x > 1) { try { x + 40 } finally { } } }
