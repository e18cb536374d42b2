// expect: failed exception
// error: "Error: second"
// error: "<anonymous>:4:32"
function* g() { yield 1; throw new Error("second") }
for (const x of g());
