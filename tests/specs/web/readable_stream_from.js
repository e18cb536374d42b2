// expect: completed "1,2"
(await Array.fromAsync(ReadableStream.from([1, Promise.resolve(2)]))).join()
