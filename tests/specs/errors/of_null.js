// expect: failed exception
// error: "TypeError: Cannot read properties of null (reading 'x')"
// error: "<anonymous>:4:6"
null.x
