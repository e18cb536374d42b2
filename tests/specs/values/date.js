// expect: completed "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)"
// preview: "1970-01-01T00:00:00.000Z"
new Date(0)
