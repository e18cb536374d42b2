// expect: completed "6"
async function* numbers() { yield 1; yield 2; yield Promise.resolve(3) }
let sum = 0;
for await (const n of numbers()) sum += n;
sum
