// expect: completed "body,disposed"
const log: string[] = []; { using r: Disposable = { [Symbol.dispose]() { log.push("disposed") } }; log.push("body") } log.join()
