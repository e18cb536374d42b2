// expect: completed "undefined false"
// tiers: jitless
`${typeof WebAssembly} ${"WebAssembly" in globalThis}`
