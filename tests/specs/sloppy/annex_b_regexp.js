// expect: completed "true"
/\c/.test("\\c") && /{/.test("{") && /a{,2}/.test("a{,2}")
