// expect: completed "1/1/1970, 12:00:00 AM"
new Date(0).toLocaleString("en-US")
