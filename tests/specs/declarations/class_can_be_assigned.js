// expect: completed "1"
class A {} A = 1; A
