// expect: completed "3"
class P extends Promise {} P.resolve(3)
