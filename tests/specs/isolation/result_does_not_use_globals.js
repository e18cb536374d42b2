// expect: completed "by prototype"
// String(value) is the operation, whatever the global is now; the prototype is the language's business.
globalThis.String = () => "wrong"; Object.prototype.toString = () => "by prototype"; ({})
