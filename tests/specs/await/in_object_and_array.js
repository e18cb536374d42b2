// expect: completed "1,2,3"
const o = { [await "k"]: [await 1, ...await [2, 3]] }; o.k.join()
