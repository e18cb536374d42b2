// expect: completed "2"
const o = { async f() { return 2 } }; await o?.f?.()
