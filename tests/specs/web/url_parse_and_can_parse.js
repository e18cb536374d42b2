// expect: completed "false,true,"
[URL.canParse("x"), URL.canParse("a:b"), URL.parse("nope")].join()
