// expect: completed "{\"a\":[1,{\"b\":null}],\"d\":\"1970-01-01T00:00:00.000Z\",\"n\":null}"
JSON.stringify({ a: [1, { b: null }], d: new Date(0), u: undefined, n: NaN })
