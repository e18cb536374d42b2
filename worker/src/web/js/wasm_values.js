// Values on their way between a script and V8's WebAssembly, in a heap.
//
// V8 cannot put its WebAssembly objects (modules, instances, exported functions, memories...) into a
// snapshot. So a script gets objects of ours for them, and the table that leads from one to the other
// is dropped before a heap is stored: what is V8's is garbage then, and what is ours says so when it is
// used in a later execution, or is made again from what it keeps.
//
// Nothing of V8's may reach a script: each value that comes out of WebAssembly goes through `outward`
// or `ownerOf`, each that goes in through `inward` or `realOf`. Plain values and the script's own
// objects pass as they are, so that references to them keep their identity.
(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const {
  ArrayIsArray,
  Error,
  FunctionPrototypeBind,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectGetPrototypeOf,
  ObjectIsExtensible,
  ObjectPreventExtensions,
  ReflectApply,
  ReflectConstruct,
  ReflectGetOwnPropertyDescriptor,
  Uint8Array,
  WeakMap,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
  WeakSet,
  WeakSetPrototypeAdd,
  WeakSetPrototypeHas,
} = primordials;

const STALE = "belongs to an execution that has ended. A heap keeps WebAssembly modules and memories, "
  + "and globals and tags that a script made, but no instances, exported functions and tables: "
  + "instantiate the module again";

// ---- marks ---------------------------------------------------------------------------------------

// Puts a private field on an object that exists already.
class Marked extends (function (object) { return object; }) {
  #record;
  constructor(object, record) {
    super(object);
    this.#record = record;
    ops.op_wasm_mark(object);
  }
  static recordOf(value) {
    return #record in value ? value.#record : undefined;
  }
}

function isObject(value) {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

// What is known of an object of ours, also in later executions: `kind`; `remake(record)`, which makes
// V8's again, if it can be; `keep(record, real)`, called before a heap is stored while it is in use.
function recordOf(value) {
  return isObject(value) ? Marked.recordOf(value) : undefined;
}

// ---- the table of an execution -------------------------------------------------------------------

let reals; // of our objects: V8's
let owners; // of V8's objects: ours
let targets; // of the cells of our functions: V8's functions
let sources; // of buffers that scripts have: V8's buffers of the same bytes
let arrays; // arrays that a script sent in: all others that come out are several results
let plain; // functions that are not V8's
let probes;
let sharesBuffers;

function begin() {
  reals = new WeakMap();
  owners = new WeakMap();
  targets = new WeakMap();
  sources = new WeakMap();
  arrays = new WeakSet();
  plain = new WeakSet();
  probes = undefined;
  sharesBuffers = false;
}

// The end of an execution: `keep` of all that is in use, then V8's objects are let go.
function end() {
  settle();
  const kept = ops.op_wasm_kept();
  for (let i = 0; i < kept.length; i++) {
    const record = Marked.recordOf(kept[i]);
    record.keep(record, WeakMapPrototypeGet(reals, kept[i]));
  }
  reals = owners = targets = sources = arrays = plain = probes = undefined;
}

// Makes `object` ours for V8's `real`.
function adopt(object, real, record) {
  new Marked(object, record);
  relate(object, real, record);
  return object;
}

function relate(object, real, record) {
  WeakMapPrototypeSet(reals, object, real);
  WeakMapPrototypeSet(owners, real, object);
  if (record.keep !== undefined) ops.op_wasm_keep(object);
}

// Ours for V8's `real`, if there is one.
function ownerOf(real) {
  return WeakMapPrototypeGet(owners, real);
}

function isInUse(object) {
  return WeakMapPrototypeGet(reals, object) !== undefined;
}

function stale(kind) {
  throw new errors.RuntimeError(`This ${kind} of WebAssembly ${STALE}`);
}

// V8's for ours, made again if an earlier execution left it; anything else as it is.
function realOf(value) {
  if (!isObject(value)) return value;
  const real = WeakMapPrototypeGet(reals, value);
  if (real !== undefined) return real;
  const record = Marked.recordOf(value);
  if (record === undefined) return value;
  if (record.remake === undefined) stale(record.kind);
  const remade = record.remake(record);
  relate(value, remade, record);
  return remade;
}

function construct(real, args) {
  return ReflectConstruct(real, args);
}

// ---- values --------------------------------------------------------------------------------------

// A value for WebAssembly: V8's function or reference for ours.
function inward(value) {
  if (!isObject(value)) return value;
  const record = Marked.recordOf(value);
  if (record !== undefined) {
    return record.kind === "function" || record.kind === "reference" ? realOf(value) : value;
  }
  if (typeof value === "object" && !ops.op_is_proxy(value) && ArrayIsArray(value)) WeakSetPrototypeAdd(arrays, value);
  return value;
}

function inwardAll(values) {
  for (let i = 0; i < values.length; i++) values[i] = inward(values[i]);
  return values;
}

// A value from WebAssembly: ours for V8's functions and references.
function outward(value) {
  if (typeof value === "function") {
    return WeakMapPrototypeGet(owners, value) ?? (isExported(value) ? functionFor(value) : value);
  }
  if (typeof value === "object" && value !== null) {
    return WeakMapPrototypeGet(owners, value) ?? (isReference(value) ? referenceFor(value) : value);
  }
  return value;
}

// What a call gives: one value, or several in an array that V8 has made.
function outwardResult(result) {
  if (
    typeof result !== "object" || result === null || ops.op_is_proxy(result) ||
    !ArrayIsArray(result) || WeakSetPrototypeHas(arrays, result)
  ) {
    return outward(result);
  }
  for (let i = 0; i < result.length; i++) result[i] = outward(result[i]);
  return result;
}

// Whether a function is WebAssembly's. Only such a one fits into a table of functions.
function isExported(value) {
  if (WeakSetPrototypeHas(plain, value)) return false;
  probes ??= { __proto__: null };
  probes.table ??= construct(ops.wasm_table, [{ __proto__: null, element: "anyfunc", initial: 1 }]);
  try {
    ReflectApply(ops.wasm_table_set, probes.table, [0, value]);
  } catch {
    WeakSetPrototypeAdd(plain, value);
    return false;
  }
  ReflectApply(ops.wasm_table_set, probes.table, [0, null]);
  return true;
}

// (module (func (export "f") (param eqref)))
const TAKES_REFERENCE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 1, 109, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 4, 1, 2, 0, 11,
];

// Whether an object is a struct or an array of WebAssembly's own. Few others look like one.
function isReference(value) {
  if (ops.op_is_proxy(value) || ObjectGetPrototypeOf(value) !== null || ObjectIsExtensible(value)) {
    return false;
  }
  probes ??= { __proto__: null };
  probes.takesReference ??= exportsOf(instantiate(TAKES_REFERENCE)).f;
  try {
    ReflectApply(probes.takesReference, undefined, [value]);
    return true;
  } catch {
    return false;
  }
}

function instantiate(list, imports) {
  const bytes = new Uint8Array(list.length);
  for (let i = 0; i < list.length; i++) bytes[i] = list[i];
  return construct(ops.wasm_instance, [construct(ops.wasm_module, [bytes]), imports]);
}

function exportsOf(instance) {
  return ReflectApply(ops.wasm_instance_exports, instance, []);
}

function referenceFor(real) {
  const reference = adopt({ __proto__: null }, real, { __proto__: null, kind: "reference" });
  return ObjectPreventExtensions(reference);
}

// ---- calls ---------------------------------------------------------------------------------------

// Not a function that `new` takes, and so none of those bound to it.
const { call } = {
  call(cell, ...args) {
    const target = WeakMapPrototypeGet(targets, cell);
    if (target === undefined) stale("function");
    inwardAll(args);
    let result;
    try {
      result = ReflectApply(target, undefined, args);
    } catch (error) {
      throw outwardError(error);
    }
    settle();
    return outwardResult(result);
  },
};

// Ours for an exported function.
function functionFor(real) {
  const cell = { __proto__: null };
  const bound = FunctionPrototypeBind(call, undefined, cell);
  ObjectDefineProperty(bound, "length", { __proto__: null, value: real.length });
  ObjectDefineProperty(bound, "name", { __proto__: null, value: real.name });
  WeakMapPrototypeSet(targets, cell, real);
  return adopt(bound, real, { __proto__: null, kind: "function" });
}

// What V8 calls for a script's function that was imported.
function imported(callback) {
  return (...args) => {
    settle();
    for (let i = 0; i < args.length; i++) args[i] = outward(args[i]);
    let result;
    try {
      result = ReflectApply(callback, undefined, args);
    } catch (error) {
      throw inwardError(error);
    }
    return inward(result);
  };
}

// ---- errors --------------------------------------------------------------------------------------

// WebAssembly.JSTag stands for whatever a script throws. V8's own one is out of reach, so a module that
// imports ours gets an ordinary tag; with it, what scripts throw into WebAssembly is wrapped, and
// unwrapped when it comes out.
let tagOfAll;

function newTagOfAll(object, record) {
  new Marked(object, record);
  return tagOfAll = object;
}

function thrownByTag(error) {
  const tag = WeakMapPrototypeGet(reals, tagOfAll);
  if (tag === undefined || !isObject(error)) return undefined;
  try {
    return ReflectApply(ops.wasm_exception_is, error, [tag]) ? tag : undefined;
  } catch {
    return undefined;
  }
}

function inwardError(error) {
  const tag = WeakMapPrototypeGet(reals, tagOfAll);
  if (tag === undefined || (isObject(error) && isUncatchable(error))) return error;
  return construct(ops.wasm_exception, [tag, [inward(error)]]);
}

// Exceptions of WebAssembly itself, and traps, which it does not catch.
function isUncatchable(error) {
  const prototype = ops.op_is_proxy(error) ? null : ObjectGetPrototypeOf(error);
  return prototype === errors.RuntimeError.prototype || prototype === errors.Exception.prototype;
}

function outwardError(error) {
  settle();
  const tag = thrownByTag(error);
  if (tag !== undefined) return outward(ReflectApply(ops.wasm_exception_get_arg, error, [tag, 0]));
  if (ops.op_is_native_error(error)) {
    // Until it is looked at, a stack refers to the instances that it went through.
    const stack = ReflectGetOwnPropertyDescriptor(error, "stack");
    if (stack !== undefined && stack.get === stackGetter) ReflectApply(stackGetter, error, []);
  }
  return error;
}

const stackGetter = ReflectGetOwnPropertyDescriptor(new Error(), "stack").get;

function thrownBy(action) {
  try {
    action();
  } catch (error) {
    return ObjectGetPrototypeOf(error);
  }
}

begin();

// V8's own classes of errors, and of exceptions, which a heap can keep.
const errors = {
  __proto__: null,
  CompileError: thrownBy(() => instantiate([0])).constructor,
  // (module (import "" "" (func)))
  LinkError: thrownBy(() =>
    instantiate([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 5, 1, 0, 0, 0, 0], {
      __proto__: null,
      "": { __proto__: null },
    })
  ).constructor,
  // (module (func unreachable) (start 0))
  RuntimeError: thrownBy(() =>
    instantiate([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 8, 1, 0, 10, 5, 1, 3, 0, 0, 11,
    ])
  ).constructor,
  Exception: ObjectGetPrototypeOf(
    construct(ops.wasm_exception, [construct(ops.wasm_tag, [{ __proto__: null, parameters: [] }]), []]),
  ).constructor,
};

// ---- buffers -------------------------------------------------------------------------------------

// Scripts cannot detach the buffers of memories: they do not have this.
const detachKey = { __proto__: null };

// A buffer over the bytes of one of V8's, which stays V8's.
function bufferOver(source) {
  const buffer = ops.op_wasm_share(source, detachKey);
  WeakMapPrototypeSet(sources, buffer, source);
  sharesBuffers = true;
  return ops.op_is_shared_array_buffer(buffer) ? ObjectFreeze(buffer) : buffer;
}

function isOver(buffer, source) {
  return buffer !== undefined && WeakMapPrototypeGet(sources, buffer) === source;
}

function detach(buffer) {
  ops.op_wasm_detach(buffer, detachKey);
}

// Detaches the buffers of memories that have grown.
function settle() {
  if (sharesBuffers) ops.op_wasm_settle(detachKey);
}

return {
  adopt,
  begin,
  bufferOver,
  construct,
  detach,
  end,
  errors,
  exportsOf,
  imported,
  inward,
  inwardAll,
  isInUse,
  isObject,
  isOver,
  newTagOfAll,
  outward,
  outwardError,
  ownerOf,
  realOf,
  recordOf,
  settle,
};
})();
