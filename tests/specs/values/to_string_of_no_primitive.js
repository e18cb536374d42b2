// expect: failed unprintable
// error: "Cannot convert object to primitive value"
({ toString: () => ({}), valueOf: () => ({}) })
