// expect: completed "given back"
for (let i = 0; i < 100; i++) URL.revokeObjectURL(URL.createObjectURL(new Blob([new Uint8Array(1 << 20)])));
"given back"
