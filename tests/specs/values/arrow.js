// expect: completed "x => x  * 2"
x => x  * 2
