// expect: completed "z"
for (const x of "xyz") x
