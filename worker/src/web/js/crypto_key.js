// CryptoKey. The key material is bytes in a private field: a script cannot reach it, and a stored heap
// holds it like any other value.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeIncludes,
  ArrayPrototypePush,
  Symbol,
  SymbolFor,
  TypeError,
} = primordials;
const { op_crypto_copy } = core.ops;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");

const making = Symbol("making");

// In the order in which `usages` lists them.
const usageNames = [
  "encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey",
];

// An ordinary object for scripts, so that whatever they do to it does not change the key.
function shownAlgorithm(algorithm) {
  const shown = { ...algorithm };
  if (algorithm.hash !== undefined) shown.hash = { ...algorithm.hash };
  if (algorithm.publicExponent !== undefined) {
    shown.publicExponent = op_crypto_copy(algorithm.publicExponent);
  }
  return shown;
}

let recordOf;

function own(key) {
  const record = recordOf(key);
  if (record === undefined) throw new TypeError("Illegal invocation");
  return record;
}

class CryptoKey {
  // { type, extractable, algorithm, usages, material }, never given to a script.
  #record;
  #algorithm;
  #usages;

  constructor(token = undefined, record = undefined) {
    if (token !== making) webidl.illegalConstructor();
    this.#record = record;
  }

  static {
    recordOf = (value) =>
      typeof value === "object" && value !== null && #record in value ? value.#record : undefined;
  }

  get type() {
    return own(this).type;
  }

  get extractable() {
    return own(this).extractable;
  }

  get algorithm() {
    const { algorithm } = own(this);
    return this.#algorithm ??= shownAlgorithm(algorithm);
  }

  get usages() {
    const { usages } = own(this);
    return this.#usages ??= orderedUsages(usages);
  }

  [core.hostObjectBrand]() {
    // Nothing for what only looks like a key: it cannot be cloned.
    return recordOf(this) === undefined
      ? undefined
      : { __proto__: null, type: "CryptoKey", key: this };
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspect(
      createFilteredInspectProxy({
        object: this,
        evaluate: recordOf(this) !== undefined,
        keys: ["type", "extractable", "algorithm", "usages"],
      }),
      inspectOptions,
    );
  }
}

webidl.configureInterface(CryptoKey);

core.registerCloneableResource("CryptoKey", ({ key }) => {
  const record = recordOf(key);
  if (record === undefined) {
    throw { __proto__: null, [core.hostObjectBrand]: "Cannot clone object of unsupported type." };
  }
  return new CryptoKey(making, record);
});

// Each once, in the standard order.
function orderedUsages(usages) {
  const ordered = [];
  for (let i = 0; i < usageNames.length; ++i) {
    if (ArrayPrototypeIncludes(usages, usageNames[i])) ArrayPrototypePush(ordered, usageNames[i]);
  }
  return ordered;
}

function makeKey(type, extractable, algorithm, usages, material) {
  return new CryptoKey(making, {
    __proto__: null,
    type,
    extractable,
    algorithm,
    usages: orderedUsages(usages),
    material,
  });
}

webidl.converters.CryptoKey = (value, prefix, context) => {
  if (recordOf(value) === undefined) {
    throw new TypeError(
      `${prefix ? prefix + ": " : ""}${context ?? "Value"} is not of type CryptoKey`,
    );
  }
  return value;
};

return { CryptoKey, makeKey, orderedUsages, recordOf, usageNames };
})();
