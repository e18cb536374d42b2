// expect: failed exception
// error: "AppError: custom"
// error: "<anonymous>:6:7"
// error: "code: 7"
class AppError extends Error { constructor(m, code) { super(m); this.name = "AppError"; this.code = code } }
throw new AppError("custom", 7)
