// expect: failed unprintable
// error: "Cannot convert object to primitive value"
Object.create(null)
