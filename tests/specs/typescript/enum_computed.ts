// expect: completed "6"
enum E { Len = "abc".length, Twice = Len * 2 } E.Twice
