// expect: completed "why"
const s = AbortSignal.abort("why"); let thrown; try { s.throwIfAborted() } catch (e) { thrown = e } thrown
