// expect: completed "UTC"
Intl.DateTimeFormat().resolvedOptions().timeZone
