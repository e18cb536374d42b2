// expect: completed "undefined"
// output: "AbortSignal { aborted: false, reason: undefined, onabort: null }\n"
// output: "EventTarget {} AbortController {\n"
// output: "  signal: AbortSignal { aborted: false, reason: undefined, onabort: null }\n"
// output: "}\n"
// output: "ReadableStream {\n"
// output: "  locked: false,\n"
// output: "  state: \"readable\",\n"
// output: "  supportsBYOB: false\n"
// output: "} WritableStream { locked: false } CountQueuingStrategy { highWaterMark: 1, size: [Function: size] }\n"
console.log(new AbortController().signal)
console.log(new EventTarget(), new AbortController())
console.log(new ReadableStream(), new WritableStream(), new CountQueuingStrategy({ highWaterMark: 1 }))
