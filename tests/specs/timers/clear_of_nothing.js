// expect: completed "---"
[clearTimeout(), clearTimeout(12345), clearInterval(null), clearTimeout("x")].join("-")
