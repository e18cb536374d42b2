// crypto: random values, and crypto.subtle, which is computed at once and answered with promises.
//
// A key record (crypto_key.js) stays in these scripts; scripts of users hold a CryptoKey.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeIncludes,
  ArrayPrototypeSlice,
  JSONParse,
  JSONStringify,
  ObjectSetPrototypeOf,
  StringPrototypePadEnd,
  Symbol,
  SymbolFor,
  TypeError,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;
const {
  op_crypto_copy,
  op_crypto_copy_buffer,
  op_crypto_digest,
  op_crypto_random,
  op_crypto_random_uuid,
} = core.ops;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException, QuotaExceededError } = core.loadExtScript(
  "ext:deno_web/01_dom_exception.js",
);
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");
const { CryptoKey, recordOf } = core.loadExtScript("ext:mcp_v8/crypto_key.js");
const { JsonWebKey, call, fail, normalize, toKeyData, toKeyFormat, toUsages } = core.loadExtScript(
  "ext:mcp_v8/crypto_params.js",
);

const algorithms = {
  __proto__: null,
  ...core.loadExtScript("ext:mcp_v8/crypto_symmetric.js"),
  ...core.loadExtScript("ext:mcp_v8/crypto_asymmetric.js"),
};

const RANDOM_BYTES_MAX = 65536;
const making = Symbol("making");

// ---- what the operations have in common ----------------------------------------------------------

const buffer = webidl.converters.BufferSource;
const unsignedLong = webidl.converters["unsigned long"];

function keyRecord(value, prefix, context) {
  return recordOf(webidl.converters.CryptoKey(value, prefix, context));
}

// The key must be one of the algorithm, and allow the usage.
function checkKey(params, key, usage) {
  if (params.name !== key.algorithm.name) {
    throw fail.access(`A key of ${key.algorithm.name} cannot be used with ${params.name}`);
  }
  if (!ArrayPrototypeIncludes(key.usages, usage)) {
    throw fail.access(`The key does not have the usage '${usage}'`);
  }
}

function checkNotUseless(key) {
  const { type, usages } = recordOf(key);
  if (type !== "public" && usages.length === 0) {
    throw fail.syntax("A secret or private key must have usages");
  }
  return key;
}

function importKey(format, data, params, extractable, usages) {
  const imported = algorithms[params.name].importKey(format, data, params, extractable, usages);
  return checkNotUseless(imported);
}

function exportKey(format, key) {
  const { exportKey } = algorithms[key.algorithm.name];
  if (exportKey === undefined) {
    throw fail.notSupported(`Keys of ${key.algorithm.name} cannot be exported`);
  }
  if (!key.extractable) throw fail.access("The key is not extractable");
  return exportKey(format, key);
}

// Wrapping is an operation of its own for some algorithms, else it is encryption.
function normalizeWrap(algorithm, wrap, crypt, prefix, context) {
  try {
    return normalize(algorithm, wrap, prefix, context);
  } catch {
    return normalize(algorithm, crypt, prefix, context);
  }
}

function wrapOperation(params, wrap, crypt) {
  const algorithm = algorithms[params.name];
  return algorithm[wrap] ?? algorithm[crypt];
}

function jwkToBytes(jwk, params) {
  jwk.key_ops = ObjectSetPrototypeOf(ArrayPrototypeSlice(jwk.key_ops), null);
  let text = JSONStringify(jwk);
  // AES-KW takes whole blocks of 8 bytes only; JSON may end in blanks.
  if (params.name === "AES-KW") {
    text = StringPrototypePadEnd(text, text.length + (8 - text.length % 8) % 8);
  }
  return core.encode(text);
}

function bytesToJwk(data, prefix) {
  let parsed;
  try {
    parsed = JSONParse(core.decode(data));
  } catch {
    throw fail.data("The unwrapped key is not a JWK");
  }
  if (typeof parsed !== "object" || parsed === null) {
    throw fail.data("The unwrapped key is not a JWK");
  }
  ObjectSetPrototypeOf(parsed, null);
  let jwk;
  try {
    jwk = JsonWebKey(parsed, prefix, "The unwrapped key");
  } catch {
    throw fail.data("The unwrapped key is not a JWK");
  }
  if (jwk.kty === undefined) throw fail.data("The unwrapped key is not a JWK");
  return jwk;
}

// ---- SubtleCrypto --------------------------------------------------------------------------------

class SubtleCrypto {
  #made;

  constructor(token = undefined) {
    if (token !== making) webidl.illegalConstructor();
  }

  static #begin(self, name, given, needed) {
    if (typeof self !== "object" || self === null || !(#made in self)) {
      throw new TypeError("Illegal invocation");
    }
    const prefix = `Failed to execute '${name}' on 'SubtleCrypto'`;
    webidl.requiredArguments(given, needed, prefix);
    return prefix;
  }

  async digest(algorithm, data) {
    const prefix = SubtleCrypto.#begin(this, "digest", arguments.length, 2);
    data = buffer(data, prefix, "Argument 2");
    const { name } = normalize(algorithm, "digest", prefix, "Argument 1");
    return call(op_crypto_digest, name, data);
  }

  async encrypt(algorithm, key, data) {
    const prefix = SubtleCrypto.#begin(this, "encrypt", arguments.length, 3);
    key = keyRecord(key, prefix, "Argument 2");
    data = buffer(data, prefix, "Argument 3");
    const params = normalize(algorithm, "encrypt", prefix, "Argument 1");
    checkKey(params, key, "encrypt");
    return algorithms[params.name].encrypt(params, key, data);
  }

  async decrypt(algorithm, key, data) {
    const prefix = SubtleCrypto.#begin(this, "decrypt", arguments.length, 3);
    key = keyRecord(key, prefix, "Argument 2");
    data = buffer(data, prefix, "Argument 3");
    const params = normalize(algorithm, "decrypt", prefix, "Argument 1");
    checkKey(params, key, "decrypt");
    return algorithms[params.name].decrypt(params, key, data);
  }

  async sign(algorithm, key, data) {
    const prefix = SubtleCrypto.#begin(this, "sign", arguments.length, 3);
    key = keyRecord(key, prefix, "Argument 2");
    data = buffer(data, prefix, "Argument 3");
    const params = normalize(algorithm, "sign", prefix, "Argument 1");
    checkKey(params, key, "sign");
    return algorithms[params.name].sign(params, key, data);
  }

  async verify(algorithm, key, signature, data) {
    const prefix = SubtleCrypto.#begin(this, "verify", arguments.length, 4);
    key = keyRecord(key, prefix, "Argument 2");
    signature = buffer(signature, prefix, "Argument 3");
    data = buffer(data, prefix, "Argument 4");
    const params = normalize(algorithm, "verify", prefix, "Argument 1");
    checkKey(params, key, "verify");
    return algorithms[params.name].verify(params, key, signature, data);
  }

  async generateKey(algorithm, extractable, keyUsages) {
    const prefix = SubtleCrypto.#begin(this, "generateKey", arguments.length, 3);
    extractable = !!extractable;
    const usages = toUsages(keyUsages, prefix, "Argument 3");
    const params = normalize(algorithm, "generateKey", prefix, "Argument 1");
    const made = algorithms[params.name].generateKey(params, extractable, usages);
    checkNotUseless(made.privateKey ?? made);
    return made;
  }

  async deriveBits(algorithm, baseKey, length = null) {
    const prefix = SubtleCrypto.#begin(this, "deriveBits", arguments.length, 2);
    const key = keyRecord(baseKey, prefix, "Argument 2");
    if (length !== null) length = unsignedLong(length, prefix, "Argument 3");
    const params = normalize(algorithm, "deriveBits", prefix, "Argument 1");
    checkKey(params, key, "deriveBits");
    const derived = algorithms[params.name].deriveBits(params, key, length);
    return op_crypto_copy_buffer(derived);
  }

  async deriveKey(algorithm, baseKey, derivedKeyType, extractable, keyUsages) {
    const prefix = SubtleCrypto.#begin(this, "deriveKey", arguments.length, 5);
    const key = keyRecord(baseKey, prefix, "Argument 2");
    extractable = !!extractable;
    const usages = toUsages(keyUsages, prefix, "Argument 5");
    const params = normalize(algorithm, "deriveBits", prefix, "Argument 1");
    const imported = normalize(derivedKeyType, "importKey", prefix, "Argument 3");
    const lengths = normalize(derivedKeyType, "keyLength", prefix, "Argument 3");
    checkKey(params, key, "deriveKey");
    const length = algorithms[lengths.name].keyLength(lengths);
    const derived = algorithms[params.name].deriveBits(params, key, length);
    return importKey("raw", derived, imported, extractable, usages);
  }

  async importKey(format, keyData, algorithm, extractable, keyUsages) {
    const prefix = SubtleCrypto.#begin(this, "importKey", arguments.length, 5);
    format = toKeyFormat(format, prefix, "Argument 1");
    const data = toKeyData(format, keyData, prefix, "Argument 2");
    extractable = !!extractable;
    const usages = toUsages(keyUsages, prefix, "Argument 5");
    const params = normalize(algorithm, "importKey", prefix, "Argument 3");
    return importKey(format, data, params, extractable, usages);
  }

  async exportKey(format, key) {
    const prefix = SubtleCrypto.#begin(this, "exportKey", arguments.length, 2);
    format = toKeyFormat(format, prefix, "Argument 1");
    key = keyRecord(key, prefix, "Argument 2");
    const exported = exportKey(format, key);
    if (format !== "jwk") return exported;
    exported.key_ops = ArrayPrototypeSlice(exported.key_ops);
    return { ...exported };
  }

  async wrapKey(format, key, wrappingKey, wrapAlgorithm) {
    const prefix = SubtleCrypto.#begin(this, "wrapKey", arguments.length, 4);
    format = toKeyFormat(format, prefix, "Argument 1");
    key = keyRecord(key, prefix, "Argument 2");
    wrappingKey = keyRecord(wrappingKey, prefix, "Argument 3");
    const params = normalizeWrap(wrapAlgorithm, "wrapKey", "encrypt", prefix, "Argument 4");
    checkKey(params, wrappingKey, "wrapKey");
    let exported = exportKey(format, key);
    if (format === "jwk") exported = jwkToBytes(exported, params);
    return wrapOperation(params, "wrapKey", "encrypt")(params, wrappingKey, exported);
  }

  async unwrapKey(
    format, wrappedKey, unwrappingKey, unwrapAlgorithm, unwrappedKeyAlgorithm, extractable, keyUsages,
  ) {
    const prefix = SubtleCrypto.#begin(this, "unwrapKey", arguments.length, 7);
    format = toKeyFormat(format, prefix, "Argument 1");
    wrappedKey = buffer(wrappedKey, prefix, "Argument 2");
    const key = keyRecord(unwrappingKey, prefix, "Argument 3");
    extractable = !!extractable;
    const usages = toUsages(keyUsages, prefix, "Argument 7");
    const params = normalizeWrap(unwrapAlgorithm, "unwrapKey", "decrypt", prefix, "Argument 4");
    const imported = normalize(unwrappedKeyAlgorithm, "importKey", prefix, "Argument 5");
    checkKey(params, key, "unwrapKey");
    const unwrapped = op_crypto_copy(
      wrapOperation(params, "unwrapKey", "decrypt")(params, key, wrappedKey),
    );
    const data = format === "jwk" ? bytesToJwk(unwrapped, prefix) : unwrapped;
    return importKey(format, data, imported, extractable, usages);
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspect(
      createFilteredInspectProxy({ object: this, evaluate: #made in this, keys: [] }),
      inspectOptions,
    );
  }
}

webidl.configureInterface(SubtleCrypto);

// ---- Crypto --------------------------------------------------------------------------------------

const integerArrays = [
  "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array",
  "Uint32Array", "BigInt64Array", "BigUint64Array",
];

class Crypto {
  #subtle = new SubtleCrypto(making);

  constructor(token = undefined) {
    if (token !== making) webidl.illegalConstructor();
  }

  static #own(self) {
    if (typeof self !== "object" || self === null || !(#subtle in self)) {
      throw new TypeError("Illegal invocation");
    }
    return self.#subtle;
  }

  getRandomValues(array) {
    Crypto.#own(this);
    const prefix = "Failed to execute 'getRandomValues' on 'Crypto'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    webidl.converters.ArrayBufferView(array, prefix, "Argument 1");
    if (!ArrayPrototypeIncludes(integerArrays, TypedArrayPrototypeGetSymbolToStringTag(array))) {
      throw new DOMException(`${prefix}: The array must hold integers`, "TypeMismatchError");
    }
    const requested = TypedArrayPrototypeGetByteLength(array);
    if (requested > RANDOM_BYTES_MAX) {
      throw new QuotaExceededError(
        `${prefix}: ${requested} bytes are more than the ${RANDOM_BYTES_MAX} given at once`,
        { quota: RANDOM_BYTES_MAX, requested },
      );
    }
    call(op_crypto_random, array);
    return array;
  }

  randomUUID() {
    Crypto.#own(this);
    return call(op_crypto_random_uuid);
  }

  get subtle() {
    return Crypto.#own(this);
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspect(
      createFilteredInspectProxy({ object: this, evaluate: #subtle in this, keys: ["subtle"] }),
      inspectOptions,
    );
  }
}

webidl.configureInterface(Crypto);

return { Crypto, CryptoKey, SubtleCrypto, crypto: new Crypto(making) };
})();
