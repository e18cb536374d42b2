// expect: failed exception
// error: "TypeError: Cannot read properties of null (reading 'x')"
// error: "<anonymous>:6:8"
let kept;
try {
  null.x
} catch (e) { kept = e }
throw kept
