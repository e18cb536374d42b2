// The WebAssembly modules that an operator has preloaded, as globals that are made at their first use:
// `name`, the exports of an instance, for a module that imports nothing; `__wasm_name`, the module.
//
// They belong to an execution and not to its heap. What is still as it was made here goes before a heap
// is stored, and so does this script; the next execution has them anew. What a script has put in their
// place stays.
(function () {
const { core, primordials } = __bootstrap;
const { isForHeap, ops } = core;
const {
  FunctionPrototypeBind,
  ReflectApply,
  ReflectConstruct,
  ReflectDefineProperty,
  ReflectDeleteProperty,
  ReflectGetOwnPropertyDescriptor,
  globalThis,
} = primordials;

const defined = { __proto__: null };

// In a heap V8's objects stay behind ours.
function moduleOf(name, digest) {
  return isForHeap
    ? core.loadExtScript("ext:mcp_v8/wasm.js").preloaded(name, digest)
    : ops.op_wasm_preloaded_module(name, digest);
}

function exportsOf(module) {
  if (isForHeap) return core.loadExtScript("ext:mcp_v8/wasm.js").exportsOf(module);
  return ReflectApply(ops.wasm_instance_exports, ReflectConstruct(ops.wasm_instance, [module]), []);
}

function defineValue(name, value) {
  // It fails where a script has frozen the global object.
  ReflectDefineProperty(globalThis, name, {
    __proto__: null,
    value,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

// The function that makes the value, once.
function define(name, make) {
  const entry = { __proto__: null, get: undefined, value: undefined };
  const made = () => entry.value ??= make();
  // A heap may have something of a script's there.
  if (ReflectGetOwnPropertyDescriptor(globalThis, name) !== undefined) return made;
  // Bound, so that they do not show their source.
  entry.get = FunctionPrototypeBind(() => {
    const value = made();
    defineValue(name, value);
    return value;
  }, undefined);
  ReflectDefineProperty(globalThis, name, {
    __proto__: null,
    configurable: true,
    enumerable: false,
    get: entry.get,
    set: FunctionPrototypeBind((value) => defineValue(name, value), undefined),
  });
  defined[name] = entry;
  return made;
}

function beginRun(modules) {
  for (let i = 0; i < modules.length; i++) {
    const { 0: name, 1: digest, 2: isSelfContained } = modules[i];
    const module = define(`__wasm_${name}`, () => moduleOf(name, digest));
    if (isSelfContained) define(name, () => exportsOf(module()));
  }
}

function endRun() {
  for (const name in defined) {
    const { get, value } = defined[name];
    const found = ReflectGetOwnPropertyDescriptor(globalThis, name);
    if (found === undefined) continue;
    if (found.get === get || (value !== undefined && found.value === value)) {
      ReflectDeleteProperty(globalThis, name);
    }
  }
}

return { beginRun, endRun };
})();
