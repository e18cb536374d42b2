// fetch: a Request becomes an exchange with the supervisor, and its reply a Response.
(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectGetOwnPropertyDescriptor,
  PromisePrototypeThen,
  RegExpPrototypeExec,
  SafeRegExp,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeReplace,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  TypedArrayPrototypeSubarray,
  TypeError,
  Uint8Array,
  uncurryThis,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { copyOf, entryOf, linesOf, listFromLines } = core.loadExtScript("ext:mcp_v8/headers.js");
const { bodyOfParts, bodyOfPuller, cancel } = core.loadExtScript("ext:mcp_v8/body.js");
const { recordOf, Request } = core.loadExtScript("ext:mcp_v8/request.js");
const { isBodiless, makeResponse } = core.loadExtScript("ext:mcp_v8/response.js");
const exchanges = core.loadExtScript("ext:mcp_v8/exchange.js");

const nothing = () => {};

// ---- signals -------------------------------------------------------------------------------------
// Loaded where there is a signal: a script has it from there.

let signals;

function loadSignals() {
  if (signals === undefined) {
    const { add, AbortSignalPrototype, remove } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
    const getter = (name) => uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, name).get);
    signals = { __proto__: null, add, remove, isAborted: getter("aborted"), reasonOf: getter("reason") };
  }
  return signals;
}

// ---- over the network ----------------------------------------------------------------------------

function withoutFragment(url) {
  const at = StringPrototypeIndexOf(url, "#");
  return at === -1 ? url : StringPrototypeSlice(url, 0, at);
}

async function fetchOverHttp(record) {
  const list = copyOf(record.headers);
  const { body, method, redirect, source } = record;
  const url = withoutFragment(record.url);
  const exchange = exchanges.start({ __proto__: null, method, url, lines: linesOf(list), redirect }, body);
  if (source !== null && !exchange.isOver) follow(source, exchange);
  try {
    return responseOf(exchange, method, await exchange.head);
  } catch (reason) {
    throw exchanges.errorOf(reason);
  }
}

function follow(signal, exchange) {
  const { add, remove, reasonOf } = loadSignals();
  const abort = () => exchanges.abort(exchange, reasonOf(signal));
  signal[add](abort);
  exchange.onOver = () => signal[remove](abort);
}

function responseOf(exchange, method, head) {
  return makeResponse({
    type: "basic",
    url: withoutFragment(head.url),
    isRedirected: head.isRedirected,
    status: head.status,
    statusText: head.statusText,
    headers: listFromLines(head.lines),
    guard: "immutable",
    body: method === "HEAD" || isBodiless(head.status) ? drained(exchange) : bodyOf(exchange),
  });
}

function bodyOf(exchange) {
  const puller = {
    __proto__: null,
    async pull() {
      try {
        return await exchanges.pull(exchange);
      } catch (reason) {
        throw exchanges.errorOf(reason);
      }
    },
    cancel: (reason) => exchanges.abort(exchange, reason),
    set onError(report) {
      exchange.onError = report;
    },
  };
  return bodyOfPuller(puller);
}

// There is no body; the exchange ends when that was heard.
function drained(exchange) {
  PromisePrototypeThen(
    exchanges.pull(exchange),
    (bytes) => bytes === undefined ? undefined : exchanges.abort(exchange, undefined),
    nothing,
  );
  return null;
}

// ---- what is in the URL, or behind it ------------------------------------------------------------

function hex(code) {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  if (code >= 97 && code <= 102) return code - 87;
  return -1;
}

function percentDecoded(text) {
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let code = StringPrototypeCharCodeAt(text, i);
    if (code === 37 && i + 2 < text.length) {
      const high = hex(StringPrototypeCharCodeAt(text, i + 1));
      const low = hex(StringPrototypeCharCodeAt(text, i + 2));
      if (high !== -1 && low !== -1) {
        code = high * 16 + low;
        i += 2;
      }
    }
    bytes[length++] = code;
  }
  return TypedArrayPrototypeSubarray(bytes, 0, length);
}

const blanksAround = new SafeRegExp(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g);
const base64Pattern = new SafeRegExp(/; *base64$/i);

function decodedBase64(bytes) {
  const { atob } = core.loadExtScript("ext:deno_web/05_base64.js");
  // A mark of the order of bytes, which decoding drops, is no base64.
  if (bytes[0] > 127) throw new TypeError("The data URL is not valid base64");
  let binary;
  try {
    binary = atob(core.decode(bytes));
  } catch {
    throw new TypeError("The data URL is not valid base64");
  }
  const decoded = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) decoded[i] = StringPrototypeCharCodeAt(binary, i);
  return decoded;
}

function fetchData(url, method) {
  const comma = StringPrototypeIndexOf(url, ",");
  if (comma === -1) throw new TypeError("The data URL has no comma");
  let type = StringPrototypeReplace(StringPrototypeSlice(url, 5, comma), blanksAround, "");
  let bytes = percentDecoded(StringPrototypeSlice(url, comma + 1));
  if (RegExpPrototypeExec(base64Pattern, type) !== null) {
    type = StringPrototypeReplace(type, base64Pattern, "");
    bytes = decodedBase64(bytes);
  }
  if (StringPrototypeStartsWith(type, ";")) type = `text/plain${type}`;
  const { parseMimeType, serializeMimeType } = core.loadExtScript("ext:deno_web/01_mimesniff.js");
  const mimeType = parseMimeType(type);
  const shown = mimeType === null ? "text/plain;charset=US-ASCII" : serializeMimeType(mimeType);
  return localResponse(url, [entryOf("content-type", shown)], method === "HEAD" ? null : [bytes]);
}

function fetchBlob(url, method) {
  const { blobFromObjectUrl, getParts } = core.loadExtScript("ext:deno_web/09_file.js");
  const blob = blobFromObjectUrl(url);
  if (blob === null || method !== "GET") throw new TypeError("There is no blob of that URL");
  return localResponse(url, [
    entryOf("content-length", `${blob.size}`),
    entryOf("content-type", blob.type),
  ], getParts(blob));
}

// `parts` is null where there is no body.
function localResponse(url, headers, parts) {
  return makeResponse({
    type: "basic",
    url,
    statusText: "OK",
    headers,
    guard: "immutable",
    body: parts === null ? null : bodyOfParts(parts),
  });
}

// ---- fetch ---------------------------------------------------------------------------------------

const schemePattern = new SafeRegExp(/^[a-z][a-z0-9+.\-]*:/);

async function fetch(input, init = undefined) {
  webidl.requiredArguments(arguments.length, 1, "Failed to execute 'fetch'");
  const record = recordOf(new Request(input, init));
  const { source } = record;
  if (source !== null && loadSignals().isAborted(source)) {
    const reason = loadSignals().reasonOf(source);
    cancel(record.body, reason);
    throw reason;
  }
  const scheme = RegExpPrototypeExec(schemePattern, record.url)[0];
  switch (scheme) {
    case "http:":
    case "https:":
      return await fetchOverHttp(record);
    case "data:":
      return fetchData(withoutFragment(record.url), record.method);
    case "blob:":
      return fetchBlob(withoutFragment(record.url), record.method);
    default:
      throw new TypeError(`fetch knows http, https, data and blob, not '${scheme}'`);
  }
}

return { fetch };
})();
