// expect: completed "32,true"
const a = crypto.getRandomValues(new Uint8Array(32)); [a.length, new Set(a).size > 4].join()
