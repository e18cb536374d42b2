// expect: completed "true"
// A getter that loads a script must not show that script.
Object.values(Object.getOwnPropertyDescriptors(globalThis)).every(d => "value" in d || d.get.toString().includes("[native code]"))
