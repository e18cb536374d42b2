// expect: completed "calm"
({ toString: () => "calm", get [Symbol.toStringTag]() { throw 1 }, get constructor() { throw 2 } })
