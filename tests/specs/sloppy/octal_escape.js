// expect: completed "A"
"\101"
