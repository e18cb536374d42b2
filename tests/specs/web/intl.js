// expect: completed "1.234.567,8"
new Intl.NumberFormat("de-DE").format(1234567.8)
