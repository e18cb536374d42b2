// Headers, and the lists behind them: of a request, of a response, of neither.
//
// What the standard forbids scripts to say of a request is what belongs to the connection, and what
// protects the user of a browser. There is no such user here: Cookie, Origin, Referer, Date and DNT are
// a script's to say, as in other runtimes outside of browsers.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayIsArray,
  ArrayPrototypePush,
  ArrayPrototypeSort,
  ArrayPrototypeSplice,
  RegExpPrototypeTest,
  SafeArrayIterator,
  SafeRegExp,
  SafeSet,
  SetPrototypeHas,
  StringPrototypeCharCodeAt,
  StringPrototypeIncludes,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  StringPrototypeToUpperCase,
  Symbol,
  SymbolFor,
  SymbolIterator,
  TypeError,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");

const making = Symbol("making");
const pairs = Symbol("pairs");

const tokenPattern = new SafeRegExp(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);

const forbiddenInRequests = new SafeSet([
  "accept-charset", "accept-encoding", "access-control-request-headers",
  "access-control-request-method", "connection", "content-length", "expect", "host", "keep-alive",
  "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via",
]);
const methodOverrides = new SafeSet(["x-http-method", "x-http-method-override", "x-method-override"]);
const forbiddenMethods = new SafeSet(["CONNECT", "TRACE", "TRACK"]);
const forbiddenInResponses = new SafeSet(["set-cookie", "set-cookie2"]);

function isToken(text) {
  return RegExpPrototypeTest(tokenPattern, text);
}

function isForbiddenMethod(method) {
  return SetPrototypeHas(forbiddenMethods, StringPrototypeToUpperCase(method));
}

function namesForbiddenMethod(value) {
  const methods = StringPrototypeSplit(value, ",");
  for (let i = 0; i < methods.length; i++) {
    if (isForbiddenMethod(normalize(methods[i]))) return true;
  }
  return false;
}

function isForbidden(guard, key, value) {
  if (guard === "response") return SetPrototypeHas(forbiddenInResponses, key);
  if (guard !== "request") return false;
  return SetPrototypeHas(forbiddenInRequests, key) ||
    StringPrototypeStartsWith(key, "proxy-") ||
    StringPrototypeStartsWith(key, "sec-") ||
    (SetPrototypeHas(methodOverrides, key) && namesForbiddenMethod(value));
}

function isWhitespace(code) {
  return code === 9 || code === 10 || code === 13 || code === 32;
}

// A value without the whitespace around it.
function normalize(value) {
  let start = 0;
  let end = value.length;
  while (start < end && isWhitespace(StringPrototypeCharCodeAt(value, start))) start++;
  while (end > start && isWhitespace(StringPrototypeCharCodeAt(value, end - 1))) end--;
  return StringPrototypeSlice(value, start, end);
}

function checkName(name, prefix) {
  if (!isToken(name)) throw new TypeError(`${prefix}: '${name}' is not a header name`);
}

function checkValue(value, prefix) {
  if (
    StringPrototypeIncludes(value, "\0") || StringPrototypeIncludes(value, "\r") ||
    StringPrototypeIncludes(value, "\n")
  ) {
    throw new TypeError(`${prefix}: a header value has no NUL and no line ends`);
  }
}

// ---- lists ---------------------------------------------------------------------------------------
// Entries in the order of their coming; `key` is the name in lower case.

// A class: objects that are written down without a prototype take several times as much.
class Entry {
  constructor(name, value) {
    this.name = name;
    this.key = StringPrototypeToLowerCase(name);
    this.value = value;
  }
}

const entryOf = (name, value) => new Entry(name, value);

// From names and values in turn, as they come from the supervisor.
function listFromLines(lines) {
  const list = [];
  for (let i = 0; i + 1 < lines.length; i += 2) ArrayPrototypePush(list, entryOf(lines[i], lines[i + 1]));
  return list;
}

function linesOf(list) {
  const lines = [];
  for (let i = 0; i < list.length; i++) ArrayPrototypePush(lines, list[i].name, list[i].value);
  return lines;
}

function copyOf(list) {
  const copy = [];
  for (let i = 0; i < list.length; i++) ArrayPrototypePush(copy, entryOf(list[i].name, list[i].value));
  return copy;
}

// The values of a header in one, or null.
function combined(list, key) {
  let value = null;
  for (let i = 0; i < list.length; i++) {
    if (list[i].key === key) value = value === null ? list[i].value : `${value}, ${list[i].value}`;
  }
  return value;
}

// Sorted and combined; cookies stay lines of their own.
function pairsOf(list) {
  const values = { __proto__: null };
  const found = [];
  for (let i = 0; i < list.length; i++) {
    const { key, value } = list[i];
    if (key === "set-cookie") {
      ArrayPrototypePush(found, [key, value]);
    } else if (key in values) {
      values[key][1] += `, ${value}`;
    } else {
      ArrayPrototypePush(found, values[key] = [key, value]);
    }
  }
  return ArrayPrototypeSort(found, (a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
}

// ---- Headers -------------------------------------------------------------------------------------

let listOf;
let guardOf;
let changed;

function appendTo(headers, name, value, prefix) {
  value = normalize(value);
  checkName(name, prefix);
  checkValue(value, prefix);
  checkMutable(headers, prefix);
  const entry = entryOf(name, value);
  if (isForbidden(guardOf(headers), entry.key, value)) return;
  ArrayPrototypePush(listOf(headers), entry);
  changed(headers);
}

function checkMutable(headers, prefix) {
  if (guardOf(headers) === "immutable") throw new TypeError(`${prefix}: these headers are immutable`);
}

// `init` is converted: pairs, or a record.
function fill(headers, init, prefix) {
  if (!ArrayIsArray(init)) {
    for (const name in init) appendTo(headers, name, init[name], prefix);
    return;
  }
  for (const pair of new SafeArrayIterator(init)) {
    if (pair.length !== 2) throw new TypeError(`${prefix}: each header is a name and a value`);
    appendTo(headers, pair[0], pair[1], prefix);
  }
}

class Headers {
  #list;
  #guard;
  #pairs;

  constructor(init = undefined, list = undefined, guard = undefined) {
    this[webidl.brand] = webidl.brand;
    if (init === making) {
      this.#list = list;
      this.#guard = guard;
      return;
    }
    const prefix = "Failed to construct 'Headers'";
    this.#list = [];
    this.#guard = "none";
    if (init !== undefined) {
      fill(this, webidl.converters.HeadersInit(init, prefix, "Argument 1"), prefix);
    }
  }

  static {
    listOf = (headers) => headers.#list;
    guardOf = (headers) => headers.#guard;
    changed = (headers) => headers.#pairs = undefined;
  }

  append(name, value) {
    webidl.assertBranded(this, HeadersPrototype);
    const prefix = "Failed to execute 'append' on 'Headers'";
    webidl.requiredArguments(arguments.length, 2, prefix);
    name = webidl.converters.ByteString(name, prefix, "Argument 1");
    value = webidl.converters.ByteString(value, prefix, "Argument 2");
    appendTo(this, name, value, prefix);
  }

  delete(name) {
    webidl.assertBranded(this, HeadersPrototype);
    const prefix = "Failed to execute 'delete' on 'Headers'";
    const key = keyOf(arguments, name, prefix);
    checkMutable(this, prefix);
    if (isForbidden(this.#guard, key, "")) return;
    const list = this.#list;
    for (let i = list.length - 1; i >= 0; i--) {
      if (list[i].key === key) ArrayPrototypeSplice(list, i, 1);
    }
    this.#pairs = undefined;
  }

  get(name) {
    webidl.assertBranded(this, HeadersPrototype);
    return combined(this.#list, keyOf(arguments, name, "Failed to execute 'get' on 'Headers'"));
  }

  getSetCookie() {
    webidl.assertBranded(this, HeadersPrototype);
    const cookies = [];
    for (let i = 0; i < this.#list.length; i++) {
      const { key, value } = this.#list[i];
      if (key === "set-cookie") ArrayPrototypePush(cookies, value);
    }
    return cookies;
  }

  has(name) {
    webidl.assertBranded(this, HeadersPrototype);
    const key = keyOf(arguments, name, "Failed to execute 'has' on 'Headers'");
    return combined(this.#list, key) !== null;
  }

  set(name, value) {
    webidl.assertBranded(this, HeadersPrototype);
    const prefix = "Failed to execute 'set' on 'Headers'";
    webidl.requiredArguments(arguments.length, 2, prefix);
    name = webidl.converters.ByteString(name, prefix, "Argument 1");
    value = normalize(webidl.converters.ByteString(value, prefix, "Argument 2"));
    checkName(name, prefix);
    checkValue(value, prefix);
    checkMutable(this, prefix);
    const entry = entryOf(name, value);
    if (isForbidden(this.#guard, entry.key, value)) return;
    const list = this.#list;
    let isSet = false;
    for (let i = 0; i < list.length; i++) {
      if (list[i].key !== entry.key) continue;
      if (isSet) {
        ArrayPrototypeSplice(list, i--, 1);
      } else {
        list[i].value = value;
        isSet = true;
      }
    }
    if (!isSet) ArrayPrototypePush(list, entry);
    this.#pairs = undefined;
  }

  // For iteration, which looks at each step again.
  get [pairs]() {
    return this.#pairs ??= pairsOf(this.#list);
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    if (!(#list in this)) return inspect({}, inspectOptions);
    const shown = {};
    const found = pairsOf(this.#list);
    for (let i = 0; i < found.length; i++) {
      const key = found[i][0];
      shown[key] = key in shown ? `${shown[key]}, ${found[i][1]}` : found[i][1];
    }
    return `Headers ${inspect(shown, inspectOptions)}`;
  }
}

function keyOf(given, name, prefix) {
  webidl.requiredArguments(given.length, 1, prefix);
  name = webidl.converters.ByteString(name, prefix, "Argument 1");
  checkName(name, prefix);
  return StringPrototypeToLowerCase(name);
}

webidl.mixinPairIterable("Headers", Headers, pairs, 0, 1);
webidl.configureInterface(Headers);
const HeadersPrototype = Headers.prototype;

webidl.converters.HeadersInit = (V, prefix, context, opts) => {
  if (webidl.type(V) !== "Object") {
    throw webidl.makeException(TypeError, "is neither headers, nor pairs, nor a record", prefix, context);
  }
  const isList = V[SymbolIterator] !== undefined && V[SymbolIterator] !== null;
  const converter = isList ? "sequence<sequence<ByteString>>" : "record<ByteString, ByteString>";
  return webidl.converters[converter](V, prefix, context, opts);
};

const makeHeaders = (list, guard) => new Headers(making, list, guard);

return {
  combined,
  copyOf,
  entryOf,
  fill,
  Headers,
  isForbiddenMethod,
  isToken,
  linesOf,
  listFromLines,
  listOf: (headers) => listOf(headers),
  makeHeaders,
};
})();
