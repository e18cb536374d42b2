// expect: completed "[object Promise]"
[Promise.resolve(1)]
