// expect: completed "104857600"
let n = 0; for (let i = 0; i < 100; i++) n += new Blob([new Uint8Array(1 << 20)]).size; n
