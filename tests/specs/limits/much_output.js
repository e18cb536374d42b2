// expect: completed "done"
// output: 2000000 bytes
for (let i = 0; i < 20_000; i++) console.log("x".repeat(99));
"done"
