// expect: failed exception
// error: "RangeError: late"
new Promise((_, reject) => setTimeout(() => reject(new RangeError("late")), 10))
