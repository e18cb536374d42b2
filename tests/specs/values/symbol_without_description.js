// expect: completed "Symbol()"
Symbol()
