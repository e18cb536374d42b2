// expect: failed exception
// error: "Error: later"
// error: "at f (<anonymous>:6:9)"
async function f() {
  await null;
  throw new Error("later");
}
await f();
