// expect: completed "body,disposed"
const log = [];
{
  await using r = { async [Symbol.asyncDispose]() { await null; log.push("disposed") } };
  log.push("body");
}
log.join()
