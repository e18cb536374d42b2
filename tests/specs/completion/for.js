// expect: completed "20"
for (let i = 0; i < 3; i++) i * 10
