// expect: completed "by proxy"
new Proxy({ a: 1 }, { get: (t, k) => k === "toString" ? () => "by proxy" : t[k] })
