// Makes the small world that Deno's web scripts expect (`core`, `primordials`, `internals`) and the
// global scope that a user's script sees.
//
// Runs once, when a context is made, before any script of a user. It is the body of a function whose
// parameters are `makeOp` (which makes a host function, by its name), `primordialNames` (the names that the
// scripts take from `primordials`) and `isForHeap`. It returns the functions that the host calls, by name.
//
// Nothing made here is reachable from a user's script except what is defined on the global object at
// the end. Whatever is in here is also in every stored heap, so it is small: each web global is loaded
// at its first use.
"use strict";

// Host functions, each made when it is first taken.
const ops = new Proxy({ __proto__: null }, {
  __proto__: null,
  get(made, name) {
    if (!(name in made)) made[name] = makeOp(name);
    return made[name];
  },
});

// The same for runs and for heaps, whose isolates V8 makes without one.
function queueMicrotask(callback) {
  if (typeof callback !== "function") {
    throw new TypeError("Failed to execute 'queueMicrotask': Argument 1 is not a function");
  }
  ops.op_queue_microtask(callback);
}

// ---- primordials ---------------------------------------------------------------------------------
// The engine's own functions as they were before any script could change them, under the names that
// Deno's scripts use: ArrayPrototypePush, ObjectDefineProperty, TypedArrayPrototypeGetBuffer...
// Kept raw, and bound when a script takes them: a bound copy of each would double the heap's base.

const { apply, bind, call } = Function.prototype;
const uncurryThis = bind.bind(call);
const applyBind = bind.bind(apply);
const {
  defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, setPrototypeOf,
} = Reflect;
const { freeze } = Object;

function suffix(key) {
  const text = typeof key === "symbol" ? `Symbol.${key.description.slice(7)}` : key;
  return text.startsWith("Symbol.")
    ? `Symbol${text[7].toUpperCase()}${text.slice(8)}`
    : `${text[0].toUpperCase()}${text.slice(1)}`;
}

// Methods, which are bound so that their receiver comes first, apart from what is taken as it is.
function collectPrimordials(wanted) {
  const plain = { __proto__: null };
  const methods = { __proto__: null };
  const asIs = (name, value) => {
    if (wanted.has(name)) plain[name] = value;
  };
  const asMethod = (name, fn) => {
    if (wanted.has(name)) methods[name] = fn;
  };
  const asBound = (name, fn, source) => asIs(name, uncurryThis(bind)(fn, source));
  const collect = (source, prefix, keep) => {
    for (const key of ownKeys(source)) {
      if (typeof key === "symbol" && !key.description?.startsWith("Symbol.")) continue;
      const name = suffix(key);
      const { get, set, value } = getOwnPropertyDescriptor(source, key);
      if (get !== undefined) {
        asMethod(`${prefix}Get${name}`, get);
        if (set !== undefined) asMethod(`${prefix}Set${name}`, set);
      } else {
        (typeof value === "function" ? keep : asIs)(`${prefix}${name}`, value, source);
        asIs(`${prefix}${name}Apply`, value);
      }
    }
  };

  for (const name of ["JSON", "Math", "Proxy", "Reflect", "Atomics"]) {
    collect(globalThis[name], name, asIs);
  }
  for (const name of ownKeys(globalThis)) {
    const { value } = getOwnPropertyDescriptor(globalThis, name);
    if (typeof value !== "function" || typeof name !== "string") continue;
    asIs(name, value);
    if (value.prototype === undefined || !/^[A-Z]/.test(name)) continue;
    collect(value, name, name === "Promise" ? asBound : asIs);
    collect(value.prototype, `${name}Prototype`, asMethod);
  }
  const hidden = {
    ArrayIterator: { prototype: getPrototypeOf([][Symbol.iterator]()) },
    AsyncGenerator: getPrototypeOf(async function* () {}),
    Generator: getPrototypeOf(function* () {}),
    MapIterator: { prototype: getPrototypeOf(new Map()[Symbol.iterator]()) },
    SetIterator: { prototype: getPrototypeOf(new Set()[Symbol.iterator]()) },
    StringIterator: { prototype: getPrototypeOf(""[Symbol.iterator]()) },
    TypedArray: getPrototypeOf(Uint8Array),
  };
  for (const name of ownKeys(hidden)) {
    asIs(name, hidden[name]);
    collect(hidden[name], name, asMethod);
    collect(hidden[name].prototype, `${name}Prototype`, asMethod);
  }
  asIs("globalThis", globalThis);
  asIs("indirectEval", eval);
  asIs("queueMicrotask", queueMicrotask);
  asMethod("ArrayPrototypeToString", Array.prototype.join);
  asMethod("TypedArrayPrototypeToString", hidden.TypedArray.prototype.join);
  return { plain, methods };
}

// Iterators and collections whose methods are their own, so that a script that replaced
// `Array.prototype[Symbol.iterator]` breaks its own loops and not those of URL or the streams.
const ArrayIteratorMethods = freezeAll((Base) =>
  class SafeArrayIterator {
    #array;
    #index = 0;
    constructor(array) {
      this.#array = array;
    }
    next() {
      if (this.#array === undefined || this.#index >= this.#array.length) {
        this.#array = undefined;
        return { value: undefined, done: true };
      }
      return { value: this.#array[this.#index++], done: false };
    }
    [Base]() {
      return this;
    }
  }, Symbol.iterator);

function freezeAll(make, base) {
  const made = make(base);
  setPrototypeOf(made.prototype, null);
  freeze(made.prototype);
  return freeze(made);
}

function safeIterator(method, next) {
  const start = uncurryThis(method);
  const step = uncurryThis(next);
  return freezeAll((iterator) =>
    class SafeIterator {
      #inner;
      constructor(iterable) {
        this.#inner = start(iterable);
      }
      next() {
        return step(this.#inner);
      }
      [iterator]() {
        return this;
      }
    }, Symbol.iterator);
}

// One that takes nothing from `Object.prototype`.
function ownDescriptor(object, key) {
  const descriptor = getOwnPropertyDescriptor(object, key);
  if (descriptor !== undefined) setPrototypeOf(descriptor, null);
  return descriptor;
}

function safeClass(Base, iterators) {
  const Safe = {
    [Base.name]: class extends Base {
      constructor(...given) {
        super(...new ArrayIteratorMethods(given));
      }
    },
  }[Base.name];
  // By index: this runs at the first use of a class, when a script may have changed how lists are read.
  const methods = ownKeys(Base.prototype);
  for (let i = 0; i < methods.length; i++) {
    const key = methods[i];
    if (key === "constructor") continue;
    const descriptor = ownDescriptor(Base.prototype, key);
    const Iterator = iterators[key];
    if (Iterator !== undefined) {
      descriptor.value = function () {
        return new Iterator(this);
      };
    }
    defineProperty(Safe.prototype, key, descriptor);
  }
  const functions = ownKeys(Base);
  for (let i = 0; i < functions.length; i++) {
    const key = functions[i];
    if (getOwnPropertyDescriptor(Safe, key) === undefined) {
      defineProperty(Safe, key, ownDescriptor(Base, key));
    }
  }
  setPrototypeOf(Safe.prototype, null);
  freeze(Safe.prototype);
  return freeze(Safe);
}

// A safe collection made from an iterable takes its entries without the user's iterators.
function safeCollection(Base, insert, iterators) {
  const Plain = safeClass(Base, iterators);
  const add = uncurryThis(Base.prototype[insert]);
  return class extends Plain {
    constructor(entries) {
      super();
      if (entries === undefined || entries === null) return;
      for (const entry of new ArrayIteratorMethods(entries)) {
        if (insert === "set") add(this, entry[0], entry[1]);
        else add(this, entry);
      }
    }
  };
}

const safeMakers = {
  __proto__: null,
  SafeArrayIterator: () => ArrayIteratorMethods,
  SafeMapIterator: () =>
    safeIterator(pristine.mapIterator, pristine.mapNext),
  SafeSetIterator: () => safeIterator(pristine.setIterator, pristine.setNext),
  SafeStringIterator: () => safeIterator(pristine.stringIterator, pristine.stringNext),
  SafeMap: () => safeCollection(pristine.Map, "set", { [Symbol.iterator]: safe("SafeMapIterator"), entries: safe("SafeMapIterator") }),
  SafeSet: () => safeCollection(pristine.Set, "add", { [Symbol.iterator]: safe("SafeSetIterator"), values: safe("SafeSetIterator") }),
  SafeWeakMap: () => safeCollection(pristine.WeakMap, "set", {}),
  SafeWeakSet: () => safeCollection(pristine.WeakSet, "add", {}),
  SafeRegExp: () => safeClass(pristine.RegExp, {}),
  // Deno's scripts use it to give back what the host keeps for them; this host keeps nothing.
  SafeFinalizationRegistry: () =>
    class {
      register() {}
      unregister() {}
    },
  SafeWeakRef: () => safeClass(pristine.WeakRef, {}),
  PromisePrototypeCatch: () => (promise, onRejected) => pristine.then(promise, undefined, onRejected),
  SafePromisePrototypeFinally: () => (promise, onFinally) =>
    pristine.then(
      promise,
      (value) => (onFinally(), value),
      (error) => {
        onFinally();
        throw error;
      },
    ),
  SafePromiseAll: () => (promises) =>
    new pristine.Promise((resolve, reject) => {
      const results = [];
      let waiting = promises.length;
      if (waiting === 0) resolve(results);
      for (let i = 0; i < promises.length; i++) {
        pristine.then(pristine.resolve(promises[i]), (value) => {
          defineProperty(results, i, { __proto__: null, value, configurable: true, enumerable: true, writable: true });
          if (--waiting === 0) resolve(results);
        }, reject);
      }
    }),
  uncurryThis: () => uncurryThis,
  applyBind: () => applyBind,
};

const pristine = {
  Map, Set, WeakMap, WeakSet, RegExp, WeakRef, Promise,
  mapIterator: Map.prototype[Symbol.iterator],
  mapNext: getPrototypeOf(new Map()[Symbol.iterator]()).next,
  setIterator: Set.prototype[Symbol.iterator],
  setNext: getPrototypeOf(new Set()[Symbol.iterator]()).next,
  stringIterator: String.prototype[Symbol.iterator],
  stringNext: getPrototypeOf(""[Symbol.iterator]()).next,
  then: uncurryThis(Promise.prototype.then),
  resolve: uncurryThis(bind)(Promise.resolve, Promise),
};

const safeMade = { __proto__: null };
function safe(name) {
  return (safeMade[name] ??= safeMakers[name]());
}

const { plain, methods } = collectPrimordials(new Set(primordialNames));

const primordials = new Proxy({ __proto__: null }, {
  __proto__: null,
  get(_target, name) {
    if (name in safeMakers) return safe(name);
    const method = name in methods;
    const raw = plain[name];
    const fn = method ? methods[name] : raw;
    if (typeof name === "string" && name.endsWith("Apply") && !(name in { ReflectApply: 0, FunctionPrototypeApply: 0 })) {
      return applyBind(fn);
    }
    return method ? uncurryThis(fn) : raw;
  },
});

// ---- core ----------------------------------------------------------------------------------------

const internals = { __proto__: null };
const loaded = { __proto__: null };
const cloners = { __proto__: null };
const hostObjectBrand = Symbol("hostObjectBrand");

const timers = {
  __proto__: null,
  lastId: 0,
  callbacks: { __proto__: null },
};

function createTimer(callback, delay, _args, repeat) {
  const id = ++timers.lastId;
  timers.callbacks[id] = { __proto__: null, callback, repeat };
  ops.op_timer_start(id, delay > 0 ? delay : 0, repeat);
  return { __proto__: null, _timerId: id };
}

function cancelTimer(timer) {
  delete timers.callbacks[timer._timerId];
  ops.op_timer_cancel(timer._timerId);
}

const core = {
  __proto__: null,
  ops,
  internals,
  isForHeap,
  build: { __proto__: null, os: "linux" },
  hostObjectBrand,
  BadResourcePrototype: { __proto__: null },
  loadExtScript(name) {
    if (!(name in loaded)) {
      const exported = ops.op_load_script(name)(bootstrap);
      // What a script put on `Object.prototype` is none of its own.
      setPrototypeOf(exported, null);
      loaded[name] = exported;
      // The event script asks the global scope about errors in listeners; ours has no listeners.
      loaded[name].saveGlobalThisReference?.({ __proto__: null, dispatchEvent: () => true });
      loaded[name].setTimeOrigin?.();
      if (name === "ext:deno_web/02_timers.js") {
        loaded[name].setTimeout = needsCallback("setTimeout", loaded[name].setTimeout);
        loaded[name].setInterval = needsCallback("setInterval", loaded[name].setInterval);
      }
    }
    return loaded[name];
  },
  // What a script that is loaded has made: nothing else can be of its classes.
  ifLoaded: (name) => loaded[name],
  isArrayBuffer: ops.op_is_array_buffer,
  isAnyArrayBuffer: ops.op_is_any_array_buffer,
  isDataView: ops.op_is_data_view,
  isProxy: ops.op_is_proxy,
  isSharedArrayBuffer: ops.op_is_shared_array_buffer,
  isTypedArray: ops.op_is_typed_array,
  encode: ops.op_encode,
  decode: ops.op_decode,
  structuredClone: (value, transfer) =>
    ops.op_structured_clone(value, transfer, hostObjectBrand, cloneHostObject, internals.webidlBrand),
  registerCloneableResource(type, deserialize) {
    cloners[type] = deserialize;
  },
  registerTransferableResource() {},
  createTimer,
  createSystemTimer: (callback, delay) => {
    const timer = createTimer(callback, delay, undefined, false);
    ops.op_timer_unref(timer._timerId, true);
    return timer;
  },
  cancelTimer,
  refTimer: (timer) => ops.op_timer_unref(timer._timerId, false),
  unrefTimer: (timer) => ops.op_timer_unref(timer._timerId, true),
  getAsyncContext: () => undefined,
  setAsyncContext() {},
  destructureError: (error) => ({ __proto__: null, exceptionMessage: `${error}`, frames: [] }),
  reportUnhandledException: ops.op_report_exception,
  refOpPromise() {},
  unrefOpPromise() {},
  tryClose() {},
};

// Without a callback Deno's timers run the text "undefined".
function needsCallback(name, timer) {
  const applyTimer = applyBind(timer);
  return {
    [name](callback, ..._rest) {
      if (arguments.length === 0) {
        throw new TypeError(`Failed to execute '${name}': 1 argument required, but only 0 present`);
      }
      return applyTimer(this, arguments);
    },
  }[name];
}

function cloneHostObject(object) {
  const brand = object[hostObjectBrand];
  let data;
  try {
    if (typeof brand === "function") data = uncurryThis(brand)(object);
  } catch {
    // An object that only looks like one of its class.
  }
  const clone = data === undefined ? undefined : cloners[data.type];
  if (clone === undefined) {
    throw { __proto__: null, [hostObjectBrand]: "Cannot clone object of unsupported type." };
  }
  return clone(data);
}

const bootstrap = { __proto__: null, core, internals, primordials };

// ---- blobs ---------------------------------------------------------------------------------------
// The bytes of blobs are kept on the script's side, so that a stored heap holds them. Deno's script
// names a part of a blob by an id; here the id is the bytes themselves, which go when the blob goes.

const blobUrls = { __proto__: null };
const sliceBytes = uncurryThis(getPrototypeOf(Uint8Array.prototype).slice);

ops.op_blob_create_part = (bytes) => sliceBytes(bytes);
ops.op_blob_slice_part = (bytes, { start, len }) => sliceBytes(bytes, start, start + len);
ops.op_blob_read_part = (bytes) => sliceBytes(bytes);
ops.op_blob_clone_part = (bytes) => ({ __proto__: null, uuid: bytes, size: bytes.length });
ops.op_blob_remove_part = () => {};
ops.op_blob_create_object_url = (mediaType, parts) => {
  const url = `blob:null/${core.loadExtScript("ext:mcp_v8/crypto.js").crypto.randomUUID()}`;
  blobUrls[url] = { __proto__: null, mediaType, parts };
  return url;
};
ops.op_blob_revoke_object_url = (url) => delete blobUrls[url];
ops.op_blob_from_object_url = (url) => {
  if (!(url in blobUrls)) return null;
  const { mediaType, parts } = blobUrls[url];
  const named = [];
  for (let i = 0; i < parts.length; i++) {
    defineProperty(named, i, { __proto__: null, value: ops.op_blob_clone_part(parts[i]) });
  }
  return { __proto__: null, mediaType, parts: named };
};

// ---- what the host calls -------------------------------------------------------------------------

function runTimer(id) {
  const timer = timers.callbacks[id];
  if (timer === undefined) return;
  if (!timer.repeat) delete timers.callbacks[id];
  timer.callback();
}

// A reply is always to what this script has said.
function takeReply(...reply) {
  loaded["ext:mcp_v8/exchange.js"].takeReply(...new ArrayIteratorMethods(reply));
}

function refuseWaiting() {
  loaded["ext:mcp_v8/exchange.js"].refuseWaiting();
}

function inspectValue(value, options) {
  return core.loadExtScript("ext:deno_web/01_console.js").inspect(value, options);
}

// ---- Math.random ---------------------------------------------------------------------------------
// V8's own generator is part of the isolate: forked workers and restored heaps would repeat it. The
// engine's seed is fixed for that reason (equal heaps have equal bytes); this one is truly random.

const randomNumbers = new Float64Array(64);
let randomLeft = 0;
const mathRandom = {
  random() {
    if (randomLeft === 0) {
      ops.op_random_numbers(randomNumbers);
      randomLeft = 64;
    }
    return randomNumbers[--randomLeft];
  },
}.random;
const fillNumbers = uncurryThis(getPrototypeOf(Float64Array.prototype).fill);

function forgetRandomNumbers() {
  fillNumbers(randomNumbers, 0);
  randomLeft = 0;
}

// ---- the global scope ----------------------------------------------------------------------------

const lazyGlobals = {
  __proto__: null,
  "ext:deno_web/00_url.js": ["URL", "URLSearchParams"],
  "ext:deno_web/01_dom_exception.js": ["DOMException"],
  "ext:deno_web/02_event.js": [
    "CloseEvent", "CustomEvent", "ErrorEvent", "Event", "EventTarget", "MessageEvent",
    "ProgressEvent", "PromiseRejectionEvent",
  ],
  "ext:deno_web/02_timers.js": ["clearInterval", "clearTimeout", "setInterval", "setTimeout"],
  "ext:deno_web/03_abort_signal.js": ["AbortController", "AbortSignal"],
  "ext:deno_web/05_base64.js": ["atob", "btoa"],
  "ext:deno_web/06_streams.js": [
    "ByteLengthQueuingStrategy", "CountQueuingStrategy", "ReadableByteStreamController",
    "ReadableStream", "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest",
    "ReadableStreamDefaultController", "ReadableStreamDefaultReader", "TransformStream",
    "TransformStreamDefaultController", "WritableStream", "WritableStreamDefaultController",
    "WritableStreamDefaultWriter",
  ],
  "ext:deno_web/08_text_encoding.js": [
    "TextDecoder", "TextDecoderStream", "TextEncoder", "TextEncoderStream",
  ],
  "ext:deno_web/09_file.js": ["Blob", "File"],
  "ext:deno_web/15_performance.js": [
    "Performance", "PerformanceEntry", "PerformanceMark", "PerformanceMeasure", "performance",
  ],
  "ext:mcp_v8/console.js": ["console"],
  "ext:mcp_v8/crypto.js": ["Crypto", "CryptoKey", "SubtleCrypto", "crypto"],
  "ext:mcp_v8/structured_clone.js": ["structuredClone"],
};

// As in Web IDL: operations and attributes are listed, classes and namespaces are not.
const isListed = (name) => name[0] >= "a" && name !== "console";

function defineValue(name, value) {
  defineProperty(globalThis, name, {
    __proto__: null,
    value,
    configurable: true,
    enumerable: isListed(name),
    writable: true,
  });
}

// Between runs the inspector looks for a console, to add to it what no heap can hold. It finds none that
// nobody has used.
let isAtRest = true;

function loadGlobal(name, script) {
  if (name === "console" && isAtRest) return undefined;
  const value = core.loadExtScript(script)[name];
  defineValue(name, value);
  if (name === "URL") {
    addObjectUrl(value, "createObjectURL");
    addObjectUrl(value, "revokeObjectURL");
  }
  return value;
}

// Bound functions do not show their source, and are smaller than closures.
const bound = uncurryThis(bind);
const lazyGetter = (name, script) => bound(loadGlobal, undefined, name, script);

function defineLazy(name, script, getter = lazyGetter(name, script)) {
  defineProperty(globalThis, name, {
    __proto__: null,
    configurable: true,
    enumerable: isListed(name),
    get: getter,
    set: bound(defineValue, undefined, name),
  });
}

const reflectApply = Reflect.apply;

// Deno's script of blobs puts two functions on URL. It is loaded when one of them is called.
function addObjectUrl(URL, name) {
  if (name in URL) return;
  URL[name] = {
    [name](_argument) {
      core.loadExtScript("ext:deno_web/09_file.js");
      return reflectApply(URL[name], URL, arguments);
    },
  }[name];
}

for (const script in lazyGlobals) {
  for (const name of lazyGlobals[script]) defineLazy(name, script);
}
if (isForHeap) {
  // V8 does these two things by itself, but not in isolates that make snapshots. (Errors have no stack
  // without a limit.)
  if (ops.op_wasm_is_there()) defineLazy("WebAssembly", "ext:mcp_v8/wasm.js");
  Error.stackTraceLimit = 10;
  defineLazy("FinalizationRegistry", "ext:mcp_v8/finalization.js");
  defineLazy("SharedArrayBuffer", "ext:mcp_v8/shared_buffer.js");
}
defineValue("queueMicrotask", queueMicrotask);
defineValue("reportError", function reportError(error) {
  if (arguments.length === 0) {
    throw new TypeError("Failed to execute 'reportError': 1 argument required, but only 0 present");
  }
  ops.op_report_exception(error);
});
defineProperty(Math, "random", { __proto__: null, value: mathRandom, configurable: true, enumerable: false, writable: true });
defineProperty(globalThis, Symbol.toStringTag, { __proto__: null, value: "global", configurable: true, enumerable: false, writable: false });

// There only in runs that may make requests. A heap goes from one run to the next, and a run may have
// none, or be the first that has them. Host functions look it up again: a script may keep a function.
const fetchGlobals = {
  __proto__: null,
  "ext:mcp_v8/fetch.js": ["fetch"],
  "ext:mcp_v8/form_data.js": ["FormData"],
  "ext:mcp_v8/headers.js": ["Headers"],
  "ext:mcp_v8/request.js": ["Request"],
  "ext:mcp_v8/response.js": ["Response"],
};
// The same each time, so that it is known again.
const fetchGetters = { __proto__: null };
let isFetchShown = false;

function showFetch(isGranted) {
  if (isGranted === isFetchShown) return;
  isFetchShown = isGranted;
  for (const script in fetchGlobals) {
    const name = fetchGlobals[script][0];
    const there = ownDescriptor(globalThis, name);
    if (isGranted) {
      // What a script has put in its place stays.
      if (there === undefined) defineLazy(name, script, fetchGetters[name] ??= lazyGetter(name, script));
    } else if (there !== undefined) {
      const isOurs = "get" in there
        ? there.get === fetchGetters[name]
        : script in loaded && there.value === loaded[script][name];
      if (isOurs) deleteProperty(globalThis, name);
    }
  }
}

// A run has its own time origin, also when the runtime was made long before it.
function beginRun(isFetchGranted) {
  isAtRest = false;
  forgetRandomNumbers();
  showFetch(isFetchGranted);
  loaded["ext:deno_web/15_performance.js"]?.setTimeOrigin();
  loaded["ext:mcp_v8/wasm.js"]?.beginRun();
  const modules = ops.op_wasm_preloaded();
  if (modules !== undefined) core.loadExtScript("ext:mcp_v8/wasm_preloaded.js").beginRun(modules);
}

// Before a heap is stored.
function endRun() {
  isAtRest = true;
  forgetRandomNumbers();
  loaded["ext:mcp_v8/wasm_preloaded.js"]?.endRun();
  delete loaded["ext:mcp_v8/wasm_preloaded.js"];
  loaded["ext:mcp_v8/exchange.js"]?.endRun();
  loaded["ext:mcp_v8/wasm.js"]?.endRun();
}

function loadEverything() {
  isAtRest = false;
  for (const script in lazyGlobals) {
    for (const name of lazyGlobals[script]) globalThis[name];
  }
  core.loadExtScript("ext:deno_web/01_console.js");
}

return {
  __proto__: null,
  beginRun,
  endRun,
  inspectValue,
  loadEverything,
  refuseWaiting,
  runTimer,
  takeReply,
};
