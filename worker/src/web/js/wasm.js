// The WebAssembly namespace of a heap. (A script whose heap is not kept has V8's own.)
//
// V8 has all of it in the isolates that make snapshots too, it only does not install it there. So its
// functions are host functions here (`web/wasm.rs`), under the objects that a script sees, which are
// ours: see ext:mcp_v8/wasm_values.js.
(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const {
  ArrayIsArray,
  BigInt,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectFreeze,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  SymbolToStringTag,
  TypeError,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;
const values = core.loadExtScript("ext:mcp_v8/wasm_values.js");
const {
  adopt, construct, errors, inward, inwardAll, isObject, outward, outwardError, realOf, recordOf, settle,
} = values;

const PAGE_BYTES = 65536;

// How many bytes of memories a heap keeps, all together: as much as buffers can ever have.
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

// ---- the shape of V8's classes -------------------------------------------------------------------

function define(target, name, value, enumerable) {
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable, configurable: true });
}

function setLength(callable, length) {
  ObjectDefineProperty(callable, "length", { __proto__: null, value: length });
}

// `create(object, args)` makes the new object ours. Without `new` V8's function says what is wrong.
function makeClass(name, length, real, create, prototype) {
  const constructor = {
    [name]: function (...args) {
      if (new.target === undefined) return ReflectApply(real, undefined, args);
      return create(this, args);
    },
  }[name];
  setLength(constructor, length);
  if (prototype === undefined) {
    tag(constructor.prototype, `WebAssembly.${name}`);
  } else {
    constructor.prototype = prototype;
    define(prototype, "constructor", constructor, false);
  }
  ObjectDefineProperty(constructor, "prototype", { __proto__: null, writable: false });
  return constructor;
}

function tag(target, value) {
  ObjectDefineProperty(target, SymbolToStringTag, { __proto__: null, value, configurable: true });
}

function defineMethod(target, name, length, body) {
  const method = { [name](...args) { return body(this, args); } }[name];
  setLength(method, length);
  define(target, name, method, true);
}

// A method that is V8's but for the values that go in and come out.
function definePassing(target, name, length, real) {
  defineMethod(target, name, length, (self, args) => outward(ReflectApply(real, realOf(self), inwardAll(args))));
}

function defineGetter(target, name, get, set) {
  const { get: getter } = ReflectGetOwnPropertyDescriptor({ get [name]() { return get(this); } }, name);
  let setter;
  if (set !== undefined) {
    ({ set: setter } = ReflectGetOwnPropertyDescriptor({ set [name](value) { set(this, value); } }, name));
  }
  ObjectDefineProperty(target, name, { __proto__: null, get: getter, set: setter, enumerable: true, configurable: true });
}

function defineTypeMethod(owner, name, length, real) {
  defineMethod(owner, name, length, (_self, args) => {
    if (args.length > 0) args[0] = realOf(args[0]);
    return ReflectApply(real, undefined, args);
  });
}

// ---- Module --------------------------------------------------------------------------------------

// A list as V8 reads one; what is no list is for V8 to refuse.
function listOf(given) {
  if (!isObject(given)) return given;
  const length = given.length;
  if (typeof length !== "number" || !(length <= 100_000)) return given;
  const list = [];
  for (let i = 0; i < length; i++) define(list, i, given[i], true);
  return list;
}

// The bytes and options of a module, once: they are kept, to compile it again in a later execution.
function takeSource(args, optionsAt) {
  const bytes = ops.op_wasm_copy(args[0]);
  if (bytes !== undefined) args[0] = bytes;
  if (isObject(args[optionsAt])) {
    const { builtins, importedStringConstants } = args[optionsAt];
    args[optionsAt] = { __proto__: null, builtins: listOf(builtins), importedStringConstants };
  }
  return { __proto__: null, bytes, options: args[optionsAt] };
}

function remakeModule({ source }) {
  const real = construct(ops.wasm_module, [source.bytes, source.options]);
  ops.op_wasm_watch(real);
  return real;
}

function adoptModule(object, real, source) {
  ops.op_wasm_watch(real);
  return adopt(object, real, { __proto__: null, kind: "Module", remake: remakeModule, source });
}

function newModule(real, source) {
  return adoptModule(ObjectCreate(Module.prototype), real, source);
}

const Module = makeClass("Module", 1, ops.wasm_module, (object, args) => {
  const source = takeSource(args, 1);
  adoptModule(object, construct(ops.wasm_module, args), source);
});
// One that the operator has preloaded: a later execution finds it again by its name.
function remakePreloaded({ source }) {
  const real = ops.op_wasm_preloaded_module(source.name, source.digest);
  ops.op_wasm_watch(real);
  return real;
}

function preloaded(name, digest) {
  const source = { __proto__: null, name, digest };
  const record = { __proto__: null, kind: "Module", remake: remakePreloaded, source };
  return adopt(ObjectCreate(Module.prototype), remakePreloaded(record), record);
}

defineTypeMethod(Module, "imports", 1, ops.wasm_module_imports);
defineTypeMethod(Module, "exports", 1, ops.wasm_module_exports);
defineTypeMethod(Module, "customSections", 2, ops.wasm_module_custom_sections);

// ---- Instance ------------------------------------------------------------------------------------

// What V8 gets for the imports of a script, read in the order in which V8 reads them.
function takeImports(module, imports) {
  if (!isObject(imports)) return imports;
  const wanted = ReflectApply(ops.wasm_module_imports, undefined, [module]);
  const taken = { __proto__: null };
  for (let i = 0; i < wanted.length; i++) {
    const { module: from, name, kind } = wanted[i];
    const given = imports[from];
    if (!isObject(given)) {
      // V8 looks no further, and says so.
      taken[from] = given;
      break;
    }
    taken[from] ??= { __proto__: null };
    taken[from][name] = takeImport(given[name], kind);
  }
  return taken;
}

function takeImport(value, kind) {
  const record = recordOf(value);
  if (kind === "function" && typeof value === "function" && record === undefined) return values.imported(value);
  if (kind === "global" && record?.kind !== "Global") return inward(value);
  return realOf(value);
}

function adoptInstance(object, real, module) {
  ops.op_wasm_watch(real);
  const made = values.exportsOf(real);
  const listed = ReflectApply(ops.wasm_module_exports, undefined, [module]);
  const exports = { __proto__: null };
  for (let i = 0; i < listed.length; i++) {
    const { name, kind } = listed[i];
    exports[name] = kind in exported ? values.ownerOf(made[name]) ?? exported[kind](made[name]) : outward(made[name]);
  }
  return adopt(object, real, { __proto__: null, kind: "Instance", exports: ObjectFreeze(exports) });
}

const Instance = makeClass("Instance", 1, ops.wasm_instance, (object, args) => {
  const module = args[0] = realOf(args[0]);
  if (ops.op_wasm_is_module(module)) args[1] = takeImports(module, args[1]);
  let real;
  try {
    real = construct(ops.wasm_instance, args);
  } catch (error) {
    throw outwardError(error);
  }
  settle();
  adoptInstance(object, real, module);
});
defineGetter(Instance.prototype, "exports", (self) => {
  const record = recordOf(self);
  return record?.kind === "Instance" ? record.exports : ReflectApply(ops.wasm_instance_exports, realOf(self), []);
});

// ---- Table ---------------------------------------------------------------------------------------

const Table = makeClass("Table", 1, ops.wasm_table, (object, args) => {
  adopt(object, construct(ops.wasm_table, inwardAll(args)), { __proto__: null, kind: "Table" });
});
defineGetter(Table.prototype, "length", (self) => ReflectApply(ops.wasm_table_get_length, realOf(self), []));
definePassing(Table.prototype, "grow", 1, ops.wasm_table_grow);
definePassing(Table.prototype, "set", 1, ops.wasm_table_set);
definePassing(Table.prototype, "get", 1, ops.wasm_table_get);

// ---- Memory --------------------------------------------------------------------------------------
// In a later execution a memory is the buffer that it had, with its bytes, until it is used again. V8
// does not keep shared buffers as such, so of a shared memory there is a copy.

let keptBytes = 0;

function keepMemory(record, real) {
  const buffer = bufferOver(record, real);
  const bytes = buffer.byteLength;
  const isShared = ops.op_is_shared_array_buffer(buffer);
  record.type = record.copy = record.buffer = undefined;
  if (keptBytes + bytes > KEPT_BYTES_MAX) {
    values.detach(buffer);
    return;
  }
  if (isShared) {
    record.copy = new Uint8Array(bytes);
    TypedArrayPrototypeSet(record.copy, new Uint8Array(buffer));
  } else {
    record.buffer = buffer;
  }
  keptBytes += bytes;
  record.type = typeOf(real, bytes / PAGE_BYTES, isShared);
}

// (It refreshes V8's own buffer, which is not needed any more.)
function typeOf(real, pages, isShared) {
  let isWide = false;
  try {
    ReflectApply(ops.wasm_memory_grow, real, [0]);
  } catch {
    isWide = true;
  }
  let maximum;
  try {
    maximum = ReflectApply(ops.wasm_memory_to_resizable_buffer, real, []).maxByteLength / PAGE_BYTES;
  } catch {
    // It has none.
  }
  const address = (count) => isWide && count !== undefined ? BigInt(count) : count;
  return {
    __proto__: null,
    address: isWide ? "i64" : "i32",
    initial: address(pages),
    maximum: address(maximum),
    shared: isShared,
  };
}

function remakeMemory(record) {
  const { buffer, copy, type } = record;
  if (type === undefined) throw new errors.RuntimeError("This WebAssembly.Memory was larger than a heap keeps");
  const real = construct(ops.wasm_memory, [type]);
  const bytes = new Uint8Array(ReflectApply(ops.wasm_memory_buffer, real, []));
  if (copy === undefined && buffer.byteLength !== bytes.length) {
    throw new errors.RuntimeError("The bytes of this WebAssembly.Memory were transferred to somewhere else");
  }
  TypedArrayPrototypeSet(bytes, copy ?? new Uint8Array(buffer));
  record.copy = undefined;
  if (buffer !== undefined) values.detach(buffer);
  return real;
}

function bufferOver(record, real) {
  const source = ReflectApply(ops.wasm_memory_buffer, real, []);
  return values.isOver(record.buffer, source) ? record.buffer : values.bufferOver(source);
}

function adoptMemory(object, real) {
  return adopt(object, real, { __proto__: null, kind: "Memory", keep: keepMemory, remake: remakeMemory });
}

const Memory = makeClass("Memory", 1, ops.wasm_memory, (object, args) => {
  adoptMemory(object, construct(ops.wasm_memory, args));
});
defineMethod(Memory.prototype, "grow", 1, (self, args) => {
  const before = ReflectApply(ops.wasm_memory_grow, realOf(self), args);
  settle();
  return before;
});
defineGetter(Memory.prototype, "buffer", (self) => {
  const record = recordOf(self);
  if (record?.kind !== "Memory") return ReflectApply(ops.wasm_memory_buffer, realOf(self), []);
  const isKept = record.type !== undefined && record.buffer !== undefined && !values.isInUse(self);
  if (!isKept) record.buffer = bufferOver(record, realOf(self));
  return record.buffer;
});

// ---- Global --------------------------------------------------------------------------------------

function keepGlobal(record, real) {
  record.value = outward(ReflectApply(ops.wasm_global_get_value, real, []));
}

function remakeGlobal({ type, value }) {
  return construct(ops.wasm_global, [type, inward(value)]);
}

const Global = makeClass("Global", 1, ops.wasm_global, (object, args) => {
  const record = { __proto__: null, kind: "Global" };
  if (isObject(args[0])) {
    const { mutable, value } = args[0];
    args[0] = { __proto__: null, mutable, value };
    // A vector has no value that a script can see.
    if (typeof value === "string" && value !== "v128") {
      record.type = { __proto__: null, mutable: !!mutable, value };
      record.keep = keepGlobal;
      record.remake = remakeGlobal;
    }
  }
  adopt(object, construct(ops.wasm_global, inwardAll(args)), record);
});
definePassing(Global.prototype, "valueOf", 0, ops.wasm_global_value_of);
defineGetter(
  Global.prototype,
  "value",
  (self) => outward(ReflectApply(ops.wasm_global_get_value, realOf(self), [])),
  (self, value) => ReflectApply(ops.wasm_global_set_value, realOf(self), [inward(value)]),
);

// ---- Tag and Exception ---------------------------------------------------------------------------

function remakeTag({ parameters }) {
  return construct(ops.wasm_tag, [{ __proto__: null, parameters }]);
}

const Tag = makeClass("Tag", 1, ops.wasm_tag, (object, args) => {
  const record = { __proto__: null, kind: "Tag" };
  if (isObject(args[0])) {
    record.parameters = listOf(args[0].parameters);
    record.remake = remakeTag;
    args[0] = { __proto__: null, parameters: record.parameters };
  }
  adopt(object, construct(ops.wasm_tag, args), record);
});

const JSTag = values.newTagOfAll(ObjectCreate(Tag.prototype), {
  __proto__: null,
  kind: "Tag",
  parameters: ["externref"],
  remake: remakeTag,
});

// Exceptions are V8's own objects, and their prototype is V8's: a heap can keep them.
const Exception = makeClass("Exception", 2, ops.wasm_exception, (_object, args) => {
  if (args[0] === JSTag) {
    throw new TypeError("WebAssembly.Exception(): Argument 0 cannot be WebAssembly.JSTag");
  }
  args[0] = realOf(args[0]);
  args[1] = listOf(args[1]);
  if (ArrayIsArray(args[1])) inwardAll(args[1]);
  return construct(ops.wasm_exception, args);
}, errors.Exception.prototype);
defineMethod(Exception.prototype, "getArg", 2, (self, args) => {
  args[0] = realOf(args[0]);
  return outward(ReflectApply(ops.wasm_exception_get_arg, self, args));
});
defineMethod(Exception.prototype, "is", 1, (self, args) => {
  args[0] = realOf(args[0]);
  return ReflectApply(ops.wasm_exception_is, self, args);
});

// How what an instance exports, beside functions, becomes ours.
const exported = {
  __proto__: null,
  global: (real) => adopt(ObjectCreate(Global.prototype), real, { __proto__: null, kind: "Global" }),
  memory: (real) => adoptMemory(ObjectCreate(Memory.prototype), real),
  table: (real) => adopt(ObjectCreate(Table.prototype), real, { __proto__: null, kind: "Table" }),
  tag: (real) => adopt(ObjectCreate(Tag.prototype), real, { __proto__: null, kind: "Tag" }),
};

// ---- the namespace -------------------------------------------------------------------------------

function instantiateModule(module, imports) {
  const made = ReflectApply(ops.wasm_instantiate, undefined, [module, takeImports(module, imports)]);
  settle();
  return PromisePrototypeThen(
    made,
    (real) => {
      settle();
      return adoptInstance(ObjectCreate(Instance.prototype), real, module);
    },
    (error) => {
      throw outwardError(error);
    },
  );
}

function instantiateBytes(args) {
  const imports = args[1];
  const source = takeSource(args, 2);
  // Nothing to compile: V8 says what is wrong, as it does with bytes that are no module.
  const refuse = () => ReflectApply(ops.wasm_instantiate, undefined, [args[0], undefined, source.options]);
  if (source.bytes === undefined) return refuse();
  // (A promise that is given to a promise goes through what a script may have made of `then`.)
  return new Promise((resolve, reject) => {
    const compiled = (real) => {
      try {
        const module = newModule(real, source);
        PromisePrototypeThen(instantiateModule(real, imports), (instance) => resolve({ module, instance }), reject);
      } catch (error) {
        reject(error);
      }
    };
    PromisePrototypeThen(
      ReflectApply(ops.wasm_compile, undefined, [source.bytes, source.options]),
      compiled,
      () => PromisePrototypeThen(refuse(), resolve, reject),
    );
  });
}

// Asynchronous functions do not throw.
function defineAsync(target, name, body) {
  defineMethod(target, name, 1, (_self, args) => {
    try {
      return body(args);
    } catch (error) {
      return PromiseReject(error);
    }
  });
}

const WebAssembly = {};
tag(WebAssembly, "WebAssembly");
defineAsync(WebAssembly, "compile", (args) => {
  const source = takeSource(args, 1);
  const compiled = ReflectApply(ops.wasm_compile, undefined, args);
  return PromisePrototypeThen(compiled, (real) => newModule(real, source));
});
defineMethod(WebAssembly, "validate", 1, (_self, args) => ReflectApply(ops.wasm_validate, undefined, args));
defineAsync(WebAssembly, "instantiate", (args) => {
  const isForV8 = !isObject(args[0]) || !(args[1] === undefined || isObject(args[1]));
  if (isForV8) return ReflectApply(ops.wasm_instantiate, undefined, args);
  if (recordOf(args[0])?.kind === "Module") return instantiateModule(realOf(args[0]), args[1]);
  return instantiateBytes(args);
});
define(WebAssembly, "Module", Module, false);
define(WebAssembly, "Instance", Instance, false);
define(WebAssembly, "Table", Table, false);
define(WebAssembly, "Memory", Memory, false);
define(WebAssembly, "Global", Global, false);
define(WebAssembly, "Tag", Tag, false);
ObjectDefineProperty(WebAssembly, "JSTag", { __proto__: null, value: JSTag, configurable: true });
define(WebAssembly, "Exception", Exception, false);
define(WebAssembly, "CompileError", errors.CompileError, false);
define(WebAssembly, "LinkError", errors.LinkError, false);
define(WebAssembly, "RuntimeError", errors.RuntimeError, false);

function endRun() {
  keptBytes = 0;
  values.end();
}

return {
  WebAssembly,
  beginRun: values.begin,
  endRun,
  preloaded,
  exportsOf: (module) => recordOf(construct(Instance, [module])).exports,
};
})();
