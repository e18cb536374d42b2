// expect: failed exception
// error: "AggregateError: both"
// error: "TypeError: one"
// error: "RangeError: two"
throw new AggregateError([new TypeError("one"), new RangeError("two")], "both")
