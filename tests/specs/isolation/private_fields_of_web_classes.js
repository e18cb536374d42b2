// expect: completed ""
const out = [];
for (const name of ["updateUrlSearchParams", "queryObject", "serialization", "encoding", "fatal", "handle", "type", "size", "parts", "brand"]) {
  for (const make of ['new URL("a:b")', 'new TextDecoder()', 'new Blob(["x"])', 'new Event("x")']) {
    try { (0, eval)(`${make}.#${name}`); out.push(make + name) } catch (e) { if (!(e instanceof SyntaxError)) out.push(e.name) }
  }
}
out.join()
