// expect: completed "undefined"
1; if (await false) 2
