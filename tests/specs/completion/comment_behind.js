// expect: completed "3"
3 // and no more
