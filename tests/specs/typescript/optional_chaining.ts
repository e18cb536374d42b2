// expect: completed "6"
const o: { a?: { b?: () => number } } = { a: { b: () => 3 } }; (o?.a?.b?.()! as number) + (o.a!.b?.() ?? 0)
