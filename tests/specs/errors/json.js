// expect: failed exception
// error: "SyntaxError: Expected property name"
// error: "<anonymous>:4:6"
JSON.parse("{bad")
