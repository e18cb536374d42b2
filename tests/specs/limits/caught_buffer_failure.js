// expect: completed "RangeError"
// V8 refuses a buffer with an exception; a script that catches it goes on.
try { new ArrayBuffer(1 << 30) } catch (e) { e.name }
