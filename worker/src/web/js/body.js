// What requests and responses have in common: their bodies.
//
// A body is bytes in parts that are all there, or something that is pulled from, or a stream. The first
// two become a stream only when a script asks for it: the script of the streams is large. Parts stay
// beside their stream, so that a request can be sent once more.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  ArrayPrototypePush,
  JSONParse,
  ObjectDefineProperties,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypeError,
  Uint8Array,
  uncurryThis,
} = primordials;
const { op_crypto_copy } = core.ops;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { parseUrlEncoded, URLSearchParamsPrototype } = core.loadExtScript("ext:deno_web/00_url.js");
const { combined, entryOf } = core.loadExtScript("ext:mcp_v8/headers.js");

const searchParamsToString = uncurryThis(URLSearchParamsPrototype.toString);

// The largest piece of a body that goes to the supervisor at once, and that a stream gives.
const PIECE_BYTES_MAX = 64 * 1024;

const loadStreams = () => core.loadExtScript("ext:deno_web/06_streams.js");

// Nothing is a blob, stream or form before the script that makes them is loaded.
const isStream = (value) => core.ifLoaded("ext:deno_web/06_streams.js")?.isReadableStream(value) ?? false;
const isBlob = (value) => core.ifLoaded("ext:deno_web/09_file.js")?.isBlob(value) ?? false;
const isFormData = (value) => core.ifLoaded("ext:mcp_v8/form_data.js")?.isFormData(value) ?? false;
const isSearchParams = (value) => ObjectPrototypeIsPrototypeOf(URLSearchParamsPrototype, value);
const isBuffer = (value) => core.isAnyArrayBuffer(value) || ArrayBufferIsView(value);

// ---- making --------------------------------------------------------------------------------------

function bodyOfParts(parts) {
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += TypedArrayPrototypeGetByteLength(parts[i]);
  return { __proto__: null, parts, puller: null, stream: null, length, isUsed: false };
}

// `parts` and `length` are null where they are not known.
function bodyOfStream(stream, parts, length) {
  return { __proto__: null, parts, puller: null, stream, length, isUsed: false };
}

// `puller` has `pull()`, which promises bytes or, at the end, undefined; and `cancel(reason)`. What
// `onError` is set to is called when it fails without being pulled from.
function bodyOfPuller(puller) {
  return { __proto__: null, parts: null, puller, stream: null, length: null, isUsed: false };
}

// A body from what a script gives as one, converted, and its type.
function extract(init, prefix) {
  if (isStream(init)) {
    const streams = loadStreams();
    if (streams.isReadableStreamLocked(init) || streams.isReadableStreamDisturbed(init)) {
      throw new TypeError(`${prefix}: the stream is locked, or has been read from`);
    }
    return { body: bodyOfStream(init, null, null), type: null };
  }
  if (isBlob(init)) {
    const { getParts } = core.loadExtScript("ext:deno_web/09_file.js");
    return { body: bodyOfParts(getParts(init)), type: init.type === "" ? null : init.type };
  }
  if (isFormData(init)) {
    const { entriesOf } = core.loadExtScript("ext:mcp_v8/form_data.js");
    const { boundary, parts } = core.loadExtScript("ext:mcp_v8/multipart.js").encode(entriesOf(init));
    return { body: bodyOfParts(parts), type: `multipart/form-data; boundary=${boundary}` };
  }
  if (isSearchParams(init)) {
    const bytes = core.encode(searchParamsToString(init));
    return { body: bodyOfParts([bytes]), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (isBuffer(init)) return { body: bodyOfParts([op_crypto_copy(init)]), type: null };
  return { body: bodyOfParts([core.encode(init)]), type: "text/plain;charset=UTF-8" };
}

webidl.converters.BodyInit = (V, prefix, context, opts) => {
  if (typeof V === "object" && V !== null) {
    if (isStream(V) || isBlob(V) || isFormData(V) || isSearchParams(V)) return V;
    if (isBuffer(V)) return webidl.converters.BufferSource(V, prefix, context, opts);
  }
  return webidl.converters.USVString(V, prefix, context, opts);
};
webidl.converters["BodyInit?"] = webidl.createNullableConverter(webidl.converters.BodyInit);

// ---- streams -------------------------------------------------------------------------------------

function streamOf(body) {
  return body.stream ??= body.isUsed ? usedStream() : newStream(body);
}

function newStream(body) {
  const { readableByteStreamControllerError, ReadableStream } = loadStreams();
  const { parts, puller } = body;
  const pull = puller === null ? pullParts(parts) : puller.pull;
  let controllerOfStream;
  const source = {
    __proto__: null,
    type: "bytes",
    start(controller) {
      controllerOfStream = controller;
    },
    async pull(controller) {
      const bytes = await pull();
      if (bytes === undefined) {
        controller.close();
        controller.byobRequest?.respond(0);
      } else {
        controller.enqueue(bytes);
      }
    },
    cancel: puller === null ? () => {} : puller.cancel,
  };
  const stream = new ReadableStream(source, { __proto__: null, highWaterMark: 0 });
  if (puller !== null) {
    puller.onError = (error) => readableByteStreamControllerError(controllerOfStream, error);
  }
  body.puller = null;
  return stream;
}

// As a stream is that was read to its end: by a reader that keeps it.
function usedStream() {
  const {
    acquireReadableStreamDefaultReader,
    readableStreamClose,
    readableStreamDisturb,
    ReadableStream,
  } = loadStreams();
  const stream = new ReadableStream({ __proto__: null });
  readableStreamDisturb(stream);
  readableStreamClose(stream);
  acquireReadableStreamDefaultReader(stream);
  return stream;
}

// The bytes of parts in pieces, each a copy.
function pullParts(parts) {
  let index = 0;
  let offset = 0;
  return () => {
    for (;;) {
      if (index === parts.length) return undefined;
      const part = parts[index];
      if (offset < TypedArrayPrototypeGetByteLength(part)) {
        const piece = TypedArrayPrototypeSlice(part, offset, offset + PIECE_BYTES_MAX);
        offset += TypedArrayPrototypeGetByteLength(piece);
        return piece;
      }
      index++;
      offset = 0;
    }
  };
}

// ---- reading -------------------------------------------------------------------------------------

function isUsed(body) {
  return body.stream === null ? body.isUsed : loadStreams().isReadableStreamDisturbed(body.stream);
}

function isUnusable(body) {
  return isUsed(body) || (body.stream !== null && loadStreams().isReadableStreamLocked(body.stream));
}

function clone(body) {
  if (body.stream === null && body.parts !== null) return bodyOfParts(body.parts);
  const [one, other] = new primordials.SafeArrayIterator(
    loadStreams().readableStreamTee(streamOf(body), true),
  );
  body.stream = one;
  return bodyOfStream(other, body.parts, body.length);
}

// The same body for another owner; the first has used it then.
function handOver(body) {
  const taken = { ...body, __proto__: null };
  if (body.stream !== null) {
    taken.stream = loadStreams().createProxy(body.stream);
  } else {
    body.puller = null;
    body.isUsed = true;
  }
  body.parts = null;
  return taken;
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += TypedArrayPrototypeGetByteLength(parts[i]);
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (let i = 0; i < parts.length; i++) {
    TypedArrayPrototypeSet(bytes, parts[i], offset);
    offset += TypedArrayPrototypeGetByteLength(parts[i]);
  }
  return bytes;
}

// All bytes, which are the caller's.
async function collect(body) {
  const { parts, puller, stream } = body;
  body.parts = null;
  if (stream !== null) return await loadStreams().readableStreamCollectIntoUint8Array(stream);
  body.isUsed = true;
  if (puller === null) {
    const bytes = joined(parts);
    return parts.length === 1 ? op_crypto_copy(bytes) : bytes;
  }
  const pieces = [];
  for (let bytes; (bytes = await puller.pull()) !== undefined;) ArrayPrototypePush(pieces, bytes);
  return joined(pieces);
}

// `make(bytes, headers)`; `record` has a body, or null, and a list of headers.
async function consume(record, make) {
  const { body, headers } = record;
  if (body !== null && isUnusable(body)) {
    throw new TypeError("The body is locked, or has been read already");
  }
  const bytes = body === null ? new Uint8Array() : await collect(body);
  return make(bytes, headers);
}

// ---- what is made of bytes -----------------------------------------------------------------------

function mimeTypeOf(headers) {
  const { extractMimeType } = core.loadExtScript("ext:deno_web/01_mimesniff.js");
  const value = combined(headers, "content-type");
  return value === null ? null : extractMimeType(splitOutsideQuotes(value));
}

// At commas that are in no quotes.
function splitOutsideQuotes(value) {
  const found = [];
  let item = "";
  let isQuoted = false;
  for (let i = 0; i < value.length; i++) {
    const char = value[i];
    if (char === "," && !isQuoted) {
      ArrayPrototypePush(found, item);
      item = "";
      continue;
    }
    if (char === '"') isQuoted = !isQuoted;
    item += char;
    if (isQuoted && char === "\\" && i + 1 < value.length) item += value[++i];
  }
  ArrayPrototypePush(found, item);
  return found;
}

function toBlob(bytes, headers) {
  const { Blob } = core.loadExtScript("ext:deno_web/09_file.js");
  const mimeType = mimeTypeOf(headers);
  const { serializeMimeType } = core.loadExtScript("ext:deno_web/01_mimesniff.js");
  const type = mimeType === null ? "" : serializeMimeType(mimeType);
  return new Blob([bytes], { __proto__: null, type });
}

function toFormData(bytes, headers) {
  const { makeFormData } = core.loadExtScript("ext:mcp_v8/form_data.js");
  const mimeType = mimeTypeOf(headers);
  if (mimeType?.type === "multipart" && mimeType.subtype === "form-data") {
    return makeFormData(core.loadExtScript("ext:mcp_v8/multipart.js").decode(bytes, mimeType));
  }
  if (mimeType?.type === "application" && mimeType.subtype === "x-www-form-urlencoded") {
    const pairs = parseUrlEncoded(bytes);
    const entries = [];
    for (let i = 0; i < pairs.length; i++) {
      ArrayPrototypePush(entries, { __proto__: null, name: pairs[i][0], value: pairs[i][1] });
    }
    return makeFormData(entries);
  }
  throw new TypeError("The body has no type that a form has");
}

// Gives a class its part of Body. `recordOf` gives the record of an object, or throws.
function mixinBody(prototype, recordOf) {
  const reader = (name, make) => ({
    __proto__: null,
    configurable: true,
    enumerable: true,
    writable: true,
    value: {
      async [name]() {
        return await consume(recordOf(this), make);
      },
    }[name],
  });
  const getter = (get) => ({ __proto__: null, configurable: true, enumerable: true, get });
  const shape = {
    get body() {
      const { body } = recordOf(this);
      return body === null ? null : streamOf(body);
    },
    get bodyUsed() {
      const { body } = recordOf(this);
      return body !== null && isUsed(body);
    },
  };
  const got = (name) => getter(primordials.ObjectGetOwnPropertyDescriptor(shape, name).get);
  ObjectDefineProperties(prototype, {
    __proto__: null,
    arrayBuffer: reader("arrayBuffer", (bytes) => TypedArrayPrototypeGetBuffer(bytes)),
    blob: reader("blob", toBlob),
    body: got("body"),
    bodyUsed: got("bodyUsed"),
    bytes: reader("bytes", (bytes) => bytes),
    formData: reader("formData", toFormData),
    json: reader("json", (bytes) => JSONParse(core.decode(bytes))),
    text: reader("text", (bytes) => core.decode(bytes)),
  });
}

// What is not read any more is not to be made.
function cancel(body, reason) {
  if (body === null || body.stream === null) return;
  const cancelled = loadStreams().readableStreamCancel(body.stream, reason);
  PromisePrototypeThen(cancelled, () => {}, () => {});
}

// Adds the type of a body to headers that have none.
function addType(headers, type) {
  if (type !== null && combined(headers, "content-type") === null) {
    ArrayPrototypePush(headers, entryOf("content-type", type));
  }
}

return {
  addType,
  bodyOfParts,
  bodyOfPuller,
  cancel,
  clone,
  extract,
  handOver,
  isUnusable,
  joined,
  mixinBody,
  PIECE_BYTES_MAX,
  pullParts,
  streamOf,
};
})();
