// Response.
(function () {
const { core, primordials } = __bootstrap;
const {
  JSONStringify,
  ObjectGetOwnPropertyDescriptor,
  RangeError,
  RegExpPrototypeTest,
  SafeRegExp,
  SafeSet,
  SetPrototypeHas,
  Symbol,
  SymbolFor,
  TypeError,
  uncurryThis,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");
const { URL, URLPrototype } = core.loadExtScript("ext:deno_web/00_url.js");
const { copyOf, entryOf, fill, makeHeaders } = core.loadExtScript("ext:mcp_v8/headers.js");
const { addType, bodyOfParts, clone, extract, isUnusable, mixinBody } = core.loadExtScript(
  "ext:mcp_v8/body.js",
);

const making = Symbol("making");
const hrefOf = uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, "href").get);
const reasonPattern = new SafeRegExp(/^[\t\x20-\x7e\x80-\xff]*$/);
const bodiless = new SafeSet([101, 103, 204, 205, 304]);
const redirects = new SafeSet([301, 302, 303, 307, 308]);

const isBodiless = (status) => SetPrototypeHas(bodiless, status);

webidl.converters.ResponseInit = webidl.createDictionaryConverter("ResponseInit", [
  { key: "status", converter: webidl.converters["unsigned short"], defaultValue: 200 },
  { key: "statusText", converter: webidl.converters.ByteString, defaultValue: "" },
  { key: "headers", converter: webidl.converters.HeadersInit },
]);

function newRecord(more) {
  return {
    __proto__: null,
    type: "default",
    url: "",
    isRedirected: false,
    status: 200,
    statusText: "",
    headers: [],
    guard: "response",
    body: null,
    headersObject: null,
    ...more,
  };
}

// `init` is converted; `extracted` is a body with its type, or null.
function recordFrom(init, extracted, prefix) {
  if (init.status < 200 || init.status > 599) {
    throw new RangeError(`${prefix}: the status ${init.status} is not 200 to 599`);
  }
  if (!RegExpPrototypeTest(reasonPattern, init.statusText)) {
    throw new TypeError(`${prefix}: the status text is not a reason phrase`);
  }
  const record = newRecord({ status: init.status, statusText: init.statusText });
  if (init.headers !== undefined) {
    fill(makeHeaders(record.headers, "response"), init.headers, prefix);
  }
  if (extracted !== null) {
    if (isBodiless(init.status)) {
      throw new TypeError(`${prefix}: a response with the status ${init.status} has no body`);
    }
    record.body = extracted.body;
    addType(record.headers, extracted.type);
  }
  return record;
}

let recordOf;

class Response {
  #record;

  static error() {
    return makeResponse({ type: "error", status: 0, guard: "immutable" });
  }

  static json(data, init = undefined) {
    const prefix = "Failed to execute 'json' on 'Response'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    init = webidl.converters.ResponseInit(init, prefix, "Argument 2");
    const text = JSONStringify(data);
    if (text === undefined) throw new TypeError(`${prefix}: the value has no JSON`);
    const extracted = { body: bodyOfParts([core.encode(text)]), type: "application/json" };
    return new Response(making, recordFrom(init, extracted, prefix));
  }

  static redirect(url, status = 302) {
    const prefix = "Failed to execute 'redirect' on 'Response'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    url = webidl.converters.USVString(url, prefix, "Argument 1");
    status = webidl.converters["unsigned short"](status, prefix, "Argument 2");
    const location = hrefOf(new URL(url));
    if (!SetPrototypeHas(redirects, status)) {
      throw new RangeError(`${prefix}: the status ${status} is none of a redirect`);
    }
    const headers = [entryOf("location", location)];
    return makeResponse({ status, headers, guard: "immutable" });
  }

  constructor(body = null, init = undefined) {
    this[webidl.brand] = webidl.brand;
    if (body === making) {
      this.#record = init;
      return;
    }
    const prefix = "Failed to construct 'Response'";
    body = webidl.converters["BodyInit?"](body, prefix, "Argument 1");
    init = webidl.converters.ResponseInit(init, prefix, "Argument 2");
    this.#record = recordFrom(init, body === null ? null : extract(body, prefix), prefix);
  }

  static {
    recordOf = (response) => response.#record;
  }

  get type() {
    return this.#record.type;
  }

  get url() {
    return this.#record.url;
  }

  get redirected() {
    return this.#record.isRedirected;
  }

  get status() {
    return this.#record.status;
  }

  get ok() {
    const { status } = this.#record;
    return status >= 200 && status <= 299;
  }

  get statusText() {
    return this.#record.statusText;
  }

  get headers() {
    const record = this.#record;
    return record.headersObject ??= makeHeaders(record.headers, record.guard);
  }

  clone() {
    const record = this.#record;
    if (record.body !== null && isUnusable(record.body)) {
      throw new TypeError("Failed to execute 'clone' on 'Response': its body is locked, or has been read");
    }
    return new Response(making, {
      ...record,
      __proto__: null,
      headers: copyOf(record.headers),
      headersObject: null,
      body: record.body === null ? null : clone(record.body),
    });
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspect(
      createFilteredInspectProxy({
        object: this,
        evaluate: #record in this,
        keys: ["bodyUsed", "headers", "ok", "redirected", "status", "statusText", "url"],
      }),
      inspectOptions,
    );
  }
}

mixinBody(Response.prototype, (response) => recordOf(response));
webidl.configureInterface(Response);

// A response that no script made; what is not said is as in one that a script makes of nothing.
function makeResponse(record) {
  return new Response(making, newRecord(record));
}

return { isBodiless, makeResponse, Response };
})();
