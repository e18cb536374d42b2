// expect: failed exception
// error: "[Object: null prototype] {}"
throw Object.create(null)
