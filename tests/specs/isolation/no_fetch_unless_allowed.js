// expect: completed "undefined,undefined,undefined,undefined"
[typeof fetch, typeof Request, typeof Headers, typeof Response].join()
