// expect: completed "7"
7; var v = await 1
