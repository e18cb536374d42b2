// expect: failed unprintable
// error: "Cannot convert a Symbol value to a string"
// String() describes only symbols themselves; an object that converts to one has no text.
Object(Symbol("in"))
