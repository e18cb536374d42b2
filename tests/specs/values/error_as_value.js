// expect: completed "TypeError: kept"
// An error that nobody throws is a value like any other.
const e = new TypeError("kept"); e
