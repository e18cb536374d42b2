// expect: completed "micro,then,after"
const order = [];
queueMicrotask(() => order.push("micro"));
Promise.resolve().then(() => order.push("then"));
await null;
order.push("after");
order.join()
