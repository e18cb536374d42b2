// structuredClone(value, { transfer }): the algorithm is V8's serializer; what V8 does not know (Blob,
// DOMException) clones itself through the brand that its class registered.
//
// Also the part of Deno's message-port script that other scripts ask for. There are no message ports.
(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  Symbol,
} = primordials;

const notSerializable = Symbol("[[NotSerializable]]");

function markNotSerializable(prototype) {
  ObjectDefineProperty(prototype, notSerializable, { __proto__: null, value: true });
}

// Made at the first use, as what it is made of.
let toOptions;

function structuredClone(value, options = undefined) {
  const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
  const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
  const prefix = "Failed to execute 'structuredClone'";
  webidl.requiredArguments(arguments.length, 1, prefix);
  toOptions ??= webidl.createDictionaryConverter("StructuredSerializeOptions", [
    { key: "transfer", converter: webidl.converters["sequence<object>"] },
  ]);
  const { transfer = [] } = toOptions(options, prefix, "Argument 2");
  if (typeof value === "object" && value !== null && value[notSerializable] === true) {
    throw new DOMException("Cannot clone object of unsupported type.", "DataCloneError");
  }
  try {
    return core.structuredClone(value, transfer);
  } catch (error) {
    const reason = typeof error === "object" && error !== null ? error[core.hostObjectBrand] : undefined;
    if (typeof reason === "string") throw new DOMException(reason, "DataCloneError");
    throw error;
  }
}

return { markNotSerializable, structuredClone };
})();
