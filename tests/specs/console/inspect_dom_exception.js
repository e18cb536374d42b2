// expect: completed "undefined"
// output: "AbortError gone AbortError: gone [object DOMException]\n"
const e = new DOMException("gone", "AbortError")
console.log(e.name, e.message, String(e), Object.prototype.toString.call(e))
