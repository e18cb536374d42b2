// expect: completed "2 and 1,2"
`${1 + 1} and ${[1, 2]}`
