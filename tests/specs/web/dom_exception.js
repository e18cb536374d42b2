// expect: completed "NotFoundError,8,m,true,8"
const e = new DOMException("m", "NotFoundError"); [e.name, e.code, e.message, e instanceof Error, DOMException.NOT_FOUND_ERR].join()
