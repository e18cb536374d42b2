// What scripts pass to crypto.subtle: algorithm identifiers and their parameters, JSON web keys; and
// the errors that they get back.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  ObjectKeys,
  SafeArrayIterator,
  String,
  StringPrototypeToUpperCase,
  TypeError,
} = primordials;
const { op_crypto_copy } = core.ops;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { usageNames } = core.loadExtScript("ext:mcp_v8/crypto_key.js");

// ---- errors --------------------------------------------------------------------------------------

const fail = {
  __proto__: null,
  access: (message) => new DOMException(message, "InvalidAccessError"),
  data: (message) => new DOMException(message, "DataError"),
  notSupported: (message) => new DOMException(message, "NotSupportedError"),
  operation: (message) => new DOMException(message, "OperationError"),
  syntax: (message) => new DOMException(message, "SyntaxError"),
};

const thrownByHost = {
  __proto__: null,
  OperationError: fail.operation,
  DataError: fail.data,
  NotSupportedError: fail.notSupported,
};

// Calls a host function; what it refuses becomes a DOMException.
function call(op, a, b, c, d, e) {
  try {
    return op(a, b, c, d, e);
  } catch (error) {
    const translate = thrownByHost[error.name];
    throw translate === undefined ? error : translate(error.message);
  }
}

// ---- parameters ----------------------------------------------------------------------------------

const enforceRange = { enforceRange: true };

function ranged(type) {
  const convert = webidl.converters[type];
  return (value, prefix, context) => convert(value, prefix, context, enforceRange);
}

function copied(type) {
  const convert = webidl.converters[type];
  return (value, prefix, context) => op_crypto_copy(convert(value, prefix, context));
}

const bytes = copied("BufferSource");
const octet = ranged("octet");
const unsignedShort = ranged("unsigned short");
const unsignedLong = ranged("unsigned long");

function required(key, converter) {
  return { key, converter, required: true };
}

function optional(key, converter) {
  return { key, converter };
}

const name = required("name", webidl.converters.DOMString);
const hash = required("hash", (value, prefix, context) => normalize(value, "digest", prefix, context));
const namedCurve = required("namedCurve", webidl.converters.DOMString);

function dictionary(title, ...members) {
  return webidl.createDictionaryConverter(title, [name, ...new SafeArrayIterator(members)]);
}

const Algorithm = dictionary("Algorithm");
const RsaHashedKeyGenParams = dictionary(
  "RsaHashedKeyGenParams",
  required("modulusLength", unsignedLong),
  required("publicExponent", copied("Uint8Array")),
  hash,
);
const RsaHashedImportParams = dictionary("RsaHashedImportParams", hash);
const RsaPssParams = dictionary("RsaPssParams", required("saltLength", unsignedLong));
const RsaOaepParams = dictionary("RsaOaepParams", optional("label", bytes));
const EcKeyGenParams = dictionary("EcKeyGenParams", namedCurve);
const EcKeyImportParams = dictionary("EcKeyImportParams", namedCurve);
const EcdsaParams = dictionary("EcdsaParams", hash);
const EcdhKeyDeriveParams = dictionary(
  "EcdhKeyDeriveParams",
  required("public", webidl.converters.CryptoKey),
);
const AesKeyGenParams = dictionary("AesKeyGenParams", required("length", unsignedShort));
const AesDerivedKeyParams = dictionary("AesDerivedKeyParams", required("length", unsignedShort));
const AesCbcParams = dictionary("AesCbcParams", required("iv", bytes));
const AesCtrParams = dictionary(
  "AesCtrParams",
  required("counter", bytes),
  required("length", octet),
);
const AesGcmParams = dictionary(
  "AesGcmParams",
  required("iv", bytes),
  optional("additionalData", bytes),
  optional("tagLength", octet),
);
const HmacKeyGenParams = dictionary("HmacKeyGenParams", hash, optional("length", unsignedLong));
const HmacImportParams = dictionary("HmacImportParams", hash, optional("length", unsignedLong));
const HkdfParams = dictionary(
  "HkdfParams",
  hash,
  required("salt", bytes),
  required("info", bytes),
);
const Pbkdf2Params = dictionary(
  "Pbkdf2Params",
  required("salt", bytes),
  required("iterations", unsignedLong),
  hash,
);

function table(entries) {
  const found = { __proto__: null };
  for (const key of new SafeArrayIterator(ObjectKeys(entries))) {
    found[StringPrototypeToUpperCase(key)] = { __proto__: null, name: key, convert: entries[key] };
  }
  return found;
}

function aes(convert) {
  return { "AES-CBC": convert, "AES-CTR": convert, "AES-GCM": convert, "AES-KW": convert };
}

function rsa(convert) {
  return { "RSASSA-PKCS1-v1_5": convert, "RSA-PSS": convert, "RSA-OAEP": convert };
}

const encryption = table({
  "RSA-OAEP": RsaOaepParams,
  "AES-CBC": AesCbcParams,
  "AES-CTR": AesCtrParams,
  "AES-GCM": AesGcmParams,
});
const signatures = table({
  "RSASSA-PKCS1-v1_5": Algorithm,
  "RSA-PSS": RsaPssParams,
  ECDSA: EcdsaParams,
  HMAC: Algorithm,
  Ed25519: Algorithm,
});
const wrapping = table({ "AES-KW": Algorithm });

// By operation, then by name in capitals: names are compared without case.
const supported = {
  __proto__: null,
  digest: table({ "SHA-1": Algorithm, "SHA-256": Algorithm, "SHA-384": Algorithm, "SHA-512": Algorithm }),
  encrypt: encryption,
  decrypt: encryption,
  sign: signatures,
  verify: signatures,
  wrapKey: wrapping,
  unwrapKey: wrapping,
  deriveBits: table({
    ECDH: EcdhKeyDeriveParams,
    X25519: EcdhKeyDeriveParams,
    HKDF: HkdfParams,
    PBKDF2: Pbkdf2Params,
  }),
  generateKey: table({
    ...rsa(RsaHashedKeyGenParams),
    ...aes(AesKeyGenParams),
    ECDSA: EcKeyGenParams,
    ECDH: EcKeyGenParams,
    Ed25519: Algorithm,
    X25519: Algorithm,
    HMAC: HmacKeyGenParams,
  }),
  importKey: table({
    ...rsa(RsaHashedImportParams),
    ...aes(Algorithm),
    ECDSA: EcKeyImportParams,
    ECDH: EcKeyImportParams,
    Ed25519: Algorithm,
    X25519: Algorithm,
    HMAC: HmacImportParams,
    HKDF: Algorithm,
    PBKDF2: Algorithm,
  }),
  keyLength: table({
    ...aes(AesDerivedKeyParams),
    HMAC: HmacImportParams,
    HKDF: Algorithm,
    PBKDF2: Algorithm,
  }),
};

function isObject(value) {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

// https://w3c.github.io/webcrypto/#algorithm-normalization-normalize-an-algorithm
function normalize(algorithm, operation, prefix, context) {
  const given = isObject(algorithm) ? algorithm : { __proto__: null, name: String(algorithm) };
  const asked = Algorithm(given, prefix, context).name;
  const entry = supported[operation][StringPrototypeToUpperCase(asked)];
  if (entry === undefined) {
    throw fail.notSupported(`${prefix}: Unrecognized algorithm name for ${operation}: ${asked}`);
  }
  const normalized = entry.convert(given, prefix, context);
  normalized.name = entry.name;
  return normalized;
}

// ---- keys ----------------------------------------------------------------------------------------

const text = webidl.converters.DOMString;
const textMembers = [
  "kty", "use", "alg", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "k",
];
const jwkMembers = [
  optional("key_ops", webidl.converters["sequence<DOMString>"]),
  optional("ext", webidl.converters.boolean),
  // Only whether it is there: it may hold secrets, and reading it would run what a script has patched.
  optional("oth", () => true),
];
for (const key of new SafeArrayIterator(textMembers)) {
  jwkMembers[jwkMembers.length] = optional(key, text);
}
const JsonWebKey = webidl.createDictionaryConverter("JsonWebKey", jwkMembers);

function toKeyData(format, value, prefix, context) {
  const isBuffer = core.isAnyArrayBuffer(value) || ArrayBufferIsView(value);
  if (format !== "jwk") return bytes(value, prefix, context);
  if (isBuffer) throw new TypeError(`${prefix}: ${context} must be a JsonWebKey`);
  return JsonWebKey(value, prefix, context);
}

const toKeyFormat = webidl.createEnumConverter("KeyFormat", ["raw", "spki", "pkcs8", "jwk"]);
const toUsages = webidl.createSequenceConverter(
  webidl.createEnumConverter("KeyUsage", usageNames),
);

return { JsonWebKey, call, fail, normalize, toKeyData, toKeyFormat, toUsages };
})();
