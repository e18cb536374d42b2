// expect: completed "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
const hex = b => [...new Uint8Array(b)].map(x => x.toString(16).padStart(2, "0")).join("");
hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("abc")))
