// expect: completed "6"
for await (const x of [1, 2, 3]) { x * 2 }
