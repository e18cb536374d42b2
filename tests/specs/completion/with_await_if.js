// expect: completed "5"
if (await true) 5; else 6
