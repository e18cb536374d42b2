// expect: completed ""
// Let nothing new appear in the global scope by chance.
const ecma = `AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array Boolean
DataView Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array
Function Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy
RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String SuppressedError Symbol SyntaxError
Temporal TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet
WebAssembly decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN
parseFloat parseInt undefined unescape`;
const web = `AbortController AbortSignal Blob ByteLengthQueuingStrategy CloseEvent CountQueuingStrategy Crypto CryptoKey
CustomEvent DOMException ErrorEvent Event EventTarget File MessageEvent Performance PerformanceEntry
PerformanceMark PerformanceMeasure ProgressEvent PromiseRejectionEvent ReadableByteStreamController
ReadableStream ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableStreamDefaultController
ReadableStreamDefaultReader SubtleCrypto TextDecoder TextDecoderStream TextEncoder TextEncoderStream
TransformStream TransformStreamDefaultController URL URLSearchParams WritableStream
WritableStreamDefaultController WritableStreamDefaultWriter atob btoa clearInterval clearTimeout console
crypto performance queueMicrotask reportError setInterval setTimeout structuredClone`;
const known = new Set(`${ecma} ${web}`.split(/\s+/));
Reflect.ownKeys(globalThis).filter(k => !known.has(k) && k !== Symbol.toStringTag).map(String).join()
