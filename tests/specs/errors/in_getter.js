// expect: failed exception
// error: "Error: getter"
// error: "<anonymous>:6:19"
// error: "<anonymous>:8:3"
const o = {
  get a() { throw new Error("getter") },
};
o.a
