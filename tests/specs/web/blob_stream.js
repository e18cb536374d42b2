// expect: completed "stream"
(await Array.fromAsync(new Blob(["stream"]).stream().pipeThrough(new TextDecoderStream()))).join("")
