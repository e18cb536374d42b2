// expect: completed "[object Generator]"
(function* g() {})()
