// expect: completed "1"
do { 1; continue } while (false)
