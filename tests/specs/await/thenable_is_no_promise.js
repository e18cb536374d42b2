// expect: completed "[object Object]"
// A promise as the value is awaited; an object that only has a then is not one.
({ then(resolve) { resolve(5) } })
