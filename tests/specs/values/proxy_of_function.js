// expect: completed "function () { [native code] }"
new Proxy(function () {}, {})
