// expect: completed "object,[object console],true,[object console]"
[typeof console, Object.prototype.toString.call(console), Object.keys(console).includes("log"), String(console)].join()
