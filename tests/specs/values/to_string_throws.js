// expect: failed unprintable
// error: "no text"
({ toString() { throw new RangeError("no text") } })
