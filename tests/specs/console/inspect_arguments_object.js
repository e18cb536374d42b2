// expect: completed "undefined"
// output: "[Arguments] { \"0\": 1, \"1\": \"a\" }\n"
(function () { console.log(arguments) })(1, "a")
