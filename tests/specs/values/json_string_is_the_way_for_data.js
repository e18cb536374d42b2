// expect: completed "{\"a\":[1,2]}"
JSON.stringify({ a: [1, 2] })
