// expect: completed "a€😀"
const d = new TextDecoder(); const bytes = new TextEncoder().encode("a€😀"); let s = ""; for (const b of bytes) s += d.decode(new Uint8Array([b]), { stream: true }); s + d.decode()
