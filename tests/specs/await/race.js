// expect: completed "fast"
await Promise.race([new Promise(() => {}), new Promise(r => setTimeout(r, 5, "fast"))])
