// expect: completed "9"
Math.max(await 3, ...(await [9, 1]))
