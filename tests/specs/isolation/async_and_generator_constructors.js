// expect: completed "3"
[async () => {}, function* () {}, async function* () {}].map(f => f.constructor("return typeof Deno + typeof __bootstrap")).length
