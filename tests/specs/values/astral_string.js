// expect: completed "2é😀"
"😀".length + "é😀"
