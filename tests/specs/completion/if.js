// expect: completed "5"
if (true) 5; else 6
