// expect: completed "ab"
const seen = []; for await (const x of [Promise.resolve("a"), "b"]) seen.push(x); seen.join("")
