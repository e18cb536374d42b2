// expect: completed "true,12"
[Object.getPrototypeOf(globalThis) === Object.prototype || Object.getPrototypeOf(Object.getPrototypeOf(globalThis)) === Object.prototype, Reflect.ownKeys(Object.prototype).length].join()
