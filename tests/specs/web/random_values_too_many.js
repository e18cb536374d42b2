// expect: failed exception
// error: "QuotaExceededError"
crypto.getRandomValues(new Uint8Array(65537))
