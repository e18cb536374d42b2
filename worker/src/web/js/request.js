// Request.
(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  RegExpPrototypeTest,
  SafeRegExp,
  StringPrototypeToUpperCase,
  Symbol,
  SymbolFor,
  TypeError,
  uncurryThis,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");
const { URL, URLPrototype } = core.loadExtScript("ext:deno_web/00_url.js");
const { copyOf, fill, isForbiddenMethod, isToken, listOf, makeHeaders } = core.loadExtScript(
  "ext:mcp_v8/headers.js",
);
const { addType, clone, extract, handOver, isUnusable, mixinBody } = core.loadExtScript(
  "ext:mcp_v8/body.js",
);

const making = Symbol("making");
const hrefOf = uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, "href").get);
const usernameOf = uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, "username").get);
const passwordOf = uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, "password").get);

const loadSignals = () => core.loadExtScript("ext:deno_web/03_abort_signal.js");

// ---- what a request is made from -----------------------------------------------------------------

const enums = {
  __proto__: null,
  RequestCache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
  RequestCredentials: ["omit", "same-origin", "include"],
  RequestDuplex: ["half"],
  RequestMode: ["navigate", "same-origin", "no-cors", "cors"],
  RequestPriority: ["high", "low", "auto"],
  RequestRedirect: ["follow", "error", "manual"],
  ReferrerPolicy: [
    "", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin",
    "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url",
  ],
};
for (const name in enums) {
  webidl.converters[name] = webidl.createEnumConverter(name, enums[name]);
}

const member = (key, type) => ({ key, converter: webidl.converters[type] });

// Null, or a signal: there are none before their script is loaded.
function toSignal(V, prefix, context, opts) {
  return V === null ? null : (loadSignals(), webidl.converters.AbortSignal(V, prefix, context, opts));
}

webidl.converters.RequestInit = webidl.createDictionaryConverter("RequestInit", [
  member("method", "ByteString"),
  member("headers", "HeadersInit"),
  member("body", "BodyInit?"),
  member("referrer", "USVString"),
  member("referrerPolicy", "ReferrerPolicy"),
  member("mode", "RequestMode"),
  member("credentials", "RequestCredentials"),
  member("cache", "RequestCache"),
  member("redirect", "RequestRedirect"),
  member("integrity", "DOMString"),
  member("keepalive", "boolean"),
  { key: "signal", converter: toSignal },
  member("duplex", "RequestDuplex"),
  member("priority", "RequestPriority"),
  member("window", "any"),
]);

const isRequest = (value) => ObjectPrototypeIsPrototypeOf(RequestPrototype, value);

function newRecord(input, prefix) {
  const url = new URL(input);
  if (usernameOf(url) !== "" || passwordOf(url) !== "") {
    throw new TypeError(`${prefix}: a URL of a request has no user name and no password`);
  }
  return new Record(hrefOf(url));
}

class Record {
  method = "GET";
  headers = [];
  body = null;
  referrer = "about:client";
  referrerPolicy = "";
  mode = "cors";
  credentials = "same-origin";
  cache = "default";
  redirect = "follow";
  integrity = "";
  keepalive = false;
  // Whom it follows, or null.
  source = null;
  // Made when a script asks for them.
  headersObject = null;
  signal = null;

  constructor(url) {
    this.url = url;
  }
}

const copiedMembers = ["referrerPolicy", "credentials", "cache", "redirect", "integrity", "keepalive"];

function copyRecord(record) {
  const copy = new Record(record.url);
  copy.method = record.method;
  copy.headers = copyOf(record.headers);
  copy.referrer = record.referrer;
  copy.mode = record.mode;
  copy.source = record.signal ?? record.source;
  for (let i = 0; i < copiedMembers.length; i++) copy[copiedMembers[i]] = record[copiedMembers[i]];
  return copy;
}

const normalizedPattern = new SafeRegExp(/^(?:DELETE|GET|HEAD|OPTIONS|POST|PUT)$/);

function methodFrom(method, prefix) {
  if (!isToken(method) || isForbiddenMethod(method)) {
    throw new TypeError(`${prefix}: '${method}' is not a method that a request can have`);
  }
  const upper = StringPrototypeToUpperCase(method);
  return RegExpPrototypeTest(normalizedPattern, upper) ? upper : method;
}

function referrerFrom(referrer, prefix) {
  if (referrer === "") return "no-referrer";
  try {
    return hrefOf(new URL(referrer));
  } catch {
    throw new TypeError(`${prefix}: '${referrer}' is not a URL`);
  }
}

function takeInit(record, init, prefix) {
  if (init.window !== undefined && init.window !== null) {
    throw new TypeError(`${prefix}: there are no windows here`);
  }
  // Who makes a request of another says anew where it comes from.
  if (ObjectKeys(init).length > 0) {
    record.referrer = "about:client";
    record.referrerPolicy = "";
  }
  if (init.mode === "navigate") throw new TypeError(`${prefix}: a script does not navigate`);
  if (init.referrer !== undefined) record.referrer = referrerFrom(init.referrer, prefix);
  if (init.mode !== undefined) record.mode = init.mode;
  for (let i = 0; i < copiedMembers.length; i++) {
    const value = init[copiedMembers[i]];
    if (value !== undefined) record[copiedMembers[i]] = value;
  }
  if (record.cache === "only-if-cached" && record.mode !== "same-origin") {
    throw new TypeError(`${prefix}: only-if-cached goes with the mode same-origin only`);
  }
  if (init.method !== undefined) record.method = methodFrom(init.method, prefix);
  if (init.signal !== undefined) record.source = init.signal;
  if (init.headers !== undefined) {
    record.headers = [];
    fill(makeHeaders(record.headers, "request"), init.headers, prefix);
  }
}

// The body of `init`, or else that of the request that this one is made from.
function takeBody(record, init, inputBody, prefix) {
  const isGiven = init.body !== undefined && init.body !== null;
  if ((isGiven || inputBody !== null) && (record.method === "GET" || record.method === "HEAD")) {
    throw new TypeError(`${prefix}: a request with the method ${record.method} has no body`);
  }
  if (isGiven) {
    const { body, type } = extract(init.body, prefix);
    if (body.stream !== null) {
      if (record.keepalive) throw new TypeError(`${prefix}: keepalive does not go with a stream`);
      if (init.duplex === undefined) {
        throw new TypeError(`${prefix}: with a stream as the body, duplex must be 'half'`);
      }
    }
    record.body = body;
    addType(record.headers, type);
  } else if (inputBody !== null) {
    if (isUnusable(inputBody)) {
      throw new TypeError(`${prefix}: the body of the request is locked, or has been read already`);
    }
    record.body = handOver(inputBody);
  }
}

// ---- Request -------------------------------------------------------------------------------------

let recordOf;

class Request {
  #record;

  constructor(input, init = undefined) {
    this[webidl.brand] = webidl.brand;
    if (input === making) {
      this.#record = init;
      return;
    }
    const prefix = "Failed to construct 'Request'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    const isCopy = isRequest(input);
    if (!isCopy) input = webidl.converters.USVString(input, prefix, "Argument 1");
    init = webidl.converters.RequestInit(init, prefix, "Argument 2");
    const record = isCopy ? copyRecord(input.#record) : newRecord(input, prefix);
    takeInit(record, init, prefix);
    takeBody(record, init, isCopy ? input.#record.body : null, prefix);
    this.#record = record;
  }

  static {
    recordOf = (request) => request.#record;
  }

  get method() {
    return this.#record.method;
  }

  get url() {
    return this.#record.url;
  }

  get headers() {
    const record = this.#record;
    return record.headersObject ??= makeHeaders(record.headers, "request");
  }

  get destination() {
    recordOf(this);
    return "";
  }

  get referrer() {
    const { referrer } = this.#record;
    return referrer === "no-referrer" ? "" : referrer;
  }

  get referrerPolicy() {
    return this.#record.referrerPolicy;
  }

  get mode() {
    return this.#record.mode;
  }

  get credentials() {
    return this.#record.credentials;
  }

  get cache() {
    return this.#record.cache;
  }

  get redirect() {
    return this.#record.redirect;
  }

  get integrity() {
    return this.#record.integrity;
  }

  get keepalive() {
    return this.#record.keepalive;
  }

  get isReloadNavigation() {
    recordOf(this);
    return false;
  }

  get isHistoryNavigation() {
    recordOf(this);
    return false;
  }

  get signal() {
    const record = this.#record;
    if (record.signal === null) {
      const { createDependentAbortSignal, newSignal } = loadSignals();
      record.signal = record.source === null ? newSignal() : createDependentAbortSignal([record.source]);
    }
    return record.signal;
  }

  get duplex() {
    recordOf(this);
    return "half";
  }

  clone() {
    const record = this.#record;
    if (record.body !== null && isUnusable(record.body)) {
      throw new TypeError("Failed to execute 'clone' on 'Request': its body is locked, or has been read");
    }
    // The clone follows the signal of this one.
    const copy = copyRecord(record);
    if (record.body !== null) copy.body = clone(record.body);
    return new Request(making, copy);
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspect(
      createFilteredInspectProxy({
        object: this,
        evaluate: #record in this,
        keys: ["bodyUsed", "headers", "method", "redirect", "url"],
      }),
      inspectOptions,
    );
  }
}

const RequestPrototype = Request.prototype;
mixinBody(RequestPrototype, (request) => recordOf(request));
webidl.configureInterface(Request);

return { recordOf: (request) => recordOf(request), Request };
})();
