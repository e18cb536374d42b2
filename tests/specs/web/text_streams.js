// expect: completed "héllo"
const s = ReadableStream.from(["hé", "llo"]).pipeThrough(new TextEncoderStream()).pipeThrough(new TextDecoderStream()); (await Array.fromAsync(s)).join("")
