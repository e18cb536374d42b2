// expect: completed ""
const web = `AbortController AbortSignal Blob ByteLengthQueuingStrategy CloseEvent CountQueuingStrategy Crypto CryptoKey
CustomEvent DOMException ErrorEvent Event EventTarget File MessageEvent Performance PerformanceEntry
PerformanceMark PerformanceMeasure ProgressEvent PromiseRejectionEvent ReadableByteStreamController
ReadableStream ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableStreamDefaultController
ReadableStreamDefaultReader SubtleCrypto TextDecoder TextDecoderStream TextEncoder TextEncoderStream
TransformStream TransformStreamDefaultController URL URLSearchParams WritableStream
WritableStreamDefaultController WritableStreamDefaultWriter atob btoa clearInterval clearTimeout console
crypto performance queueMicrotask reportError setInterval setTimeout structuredClone`;
web.split(/\s+/).filter(name => globalThis[name] === undefined).join()
