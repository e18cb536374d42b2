// expect: completed "x"
try { throw new Error("x") } catch (e: unknown) { (e as Error).message }
