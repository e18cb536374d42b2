// expect: completed "2"
for (const k of Reflect.ownKeys(globalThis)) { try { delete globalThis[k] } catch {} }
1 + 1
