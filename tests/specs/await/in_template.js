// expect: completed "1-2"
`${await 1}-${await 2}`
