// expect: completed "true"
const b = new Blob(["x"]);
[b.text() instanceof Promise, (await b.arrayBuffer()) instanceof ArrayBuffer, new TextEncoder().encode("") instanceof Uint8Array,
  new URLSearchParams("a=1").getAll("a") instanceof Array, crypto.subtle.digest("SHA-256", new Uint8Array(1)) instanceof Promise,
  structuredClone([]) instanceof Array, structuredClone(new Map()) instanceof Map, setTimeout.constructor === Function].every(Boolean)
