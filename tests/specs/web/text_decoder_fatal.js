// expect: failed exception
// error: "TypeError"
new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff]))
