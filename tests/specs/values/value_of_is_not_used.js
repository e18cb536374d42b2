// expect: completed "[object Object]"
({ valueOf() { return 5 } })
