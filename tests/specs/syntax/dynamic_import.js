// expect: failed exception
// There are no modules: a script cannot import, not even later.
await import("fs")
