// expect: failed exception
// error: "Error: m"
// error: "status: 404"
// error: "detail: { a: [ 1 ] }"
throw Object.assign(new Error("m"), { status: 404, detail: { a: [1] } })
