// expect: completed "9"
(await 4) + (await 5)
