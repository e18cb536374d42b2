// expect: completed "5"
5; enum E { A }
