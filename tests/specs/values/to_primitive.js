// expect: completed "string"
({ [Symbol.toPrimitive](hint) { return hint } })
