// expect: completed "6"
for (const x of [1, 2, 3]) { await null; x * 2 }
