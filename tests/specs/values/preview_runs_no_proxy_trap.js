// expect: completed "0"
let traps = 0; new Proxy({ toString: () => String(traps) }, { ownKeys(t) { traps++; return Reflect.ownKeys(t) }, getOwnPropertyDescriptor(t, k) { traps++; return Reflect.getOwnPropertyDescriptor(t, k) } })
