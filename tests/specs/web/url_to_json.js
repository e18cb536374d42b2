// expect: completed "{\"u\":\"http://a/b\"}"
JSON.stringify({ u: new URL("http://a/b") })
