// expect: completed "Symbol(Symbol.iterator)"
Symbol.iterator
