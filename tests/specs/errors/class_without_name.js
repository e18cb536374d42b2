// expect: failed exception
// error: "by class"
// error: "<anonymous>:5:7"
class Named extends TypeError {}
throw new Named("by class")
