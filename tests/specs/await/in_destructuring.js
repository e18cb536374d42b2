// expect: completed "3"
const { a = await 1, ...rest } = await { b: 2 }; a + rest.b
