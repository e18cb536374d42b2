// expect: completed "2024-07-01T12:00:00.000Z0"
new Date(2024, 6, 1, 12).toISOString() + new Date().getTimezoneOffset()
