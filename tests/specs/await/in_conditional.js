// expect: completed "2"
(await false) ? 1 : await 2
