// expect: completed "4,false,object,true"
const c = structuredClone([1, , Object("s"), Object(false)]); [c.length, 1 in c, typeof c[2], c[2] instanceof String].join()
