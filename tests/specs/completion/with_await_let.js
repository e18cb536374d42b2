// expect: completed "5"
5; let y = await 1
