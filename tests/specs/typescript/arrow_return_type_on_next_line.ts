// expect: completed "2"
const f = (a: number):
  number => a + 1;
f(1)
