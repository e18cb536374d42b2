// expect: completed "1"
const r = new WeakRef({ a: 1 }); new FinalizationRegistry(() => {}).register({}, 1); r.deref().a
