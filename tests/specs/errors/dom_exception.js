// expect: failed exception
// error: "AbortError: gone"
throw new DOMException("gone", "AbortError")
