// Secret keys: AES, HMAC, and the sources of derivation (HKDF, PBKDF2).
//
// Each algorithm is an object whose methods are the operations of the standard that it has.
(function () {
const { core, primordials } = __bootstrap;
const {
  TypeError,
  TypedArrayPrototypeGetByteLength,
  Uint8Array,
} = primordials;
const {
  op_crypto_aes_cbc_decrypt,
  op_crypto_aes_cbc_encrypt,
  op_crypto_aes_ctr,
  op_crypto_aes_gcm_decrypt,
  op_crypto_aes_gcm_encrypt,
  op_crypto_aes_kw_unwrap,
  op_crypto_aes_kw_wrap,
  op_crypto_base64url_decode,
  op_crypto_base64url_encode,
  op_crypto_copy_buffer,
  op_crypto_hkdf,
  op_crypto_hmac_sign,
  op_crypto_hmac_verify,
  op_crypto_pbkdf2,
  op_crypto_random,
} = core.ops;

const { makeKey } = core.loadExtScript("ext:mcp_v8/crypto_key.js");
const { call, fail } = core.loadExtScript("ext:mcp_v8/crypto_params.js");
const { checkJwk, checkUsages } = core.loadExtScript("ext:mcp_v8/crypto_jwk.js");

// The longest HMAC key that is made, in bits: 64 KiB, what getRandomValues gives at once.
const HMAC_BITS_MAX = 8 * 65536;

function randomBytes(length) {
  const bytes = new Uint8Array(length);
  call(op_crypto_random, bytes);
  return bytes;
}

// The bytes of a JWK of type "oct".
function octets(jwk) {
  if (jwk.k === undefined) throw fail.data("The JWK has no member 'k'");
  return call(op_crypto_base64url_decode, jwk.k);
}

function exported(format, key, alg) {
  switch (format) {
    case "raw":
      return op_crypto_copy_buffer(key.material);
    case "jwk":
      return {
        __proto__: null,
        kty: "oct",
        k: op_crypto_base64url_encode(key.material),
        alg,
        key_ops: key.usages,
        ext: key.extractable,
      };
    default:
      throw fail.notSupported(`${key.algorithm.name} keys have no format '${format}'`);
  }
}

function imported(format, data, use, usages, extractable) {
  switch (format) {
    case "raw":
      return data;
    case "jwk":
      checkJwk(data, "oct", use, usages, extractable);
      return octets(data);
    default:
      throw fail.notSupported(`Secret keys have no format '${format}'`);
  }
}

// ---- AES -----------------------------------------------------------------------------------------

function isAesLength(bits) {
  return bits === 128 || bits === 192 || bits === 256;
}

function aes(mode, allowed, operations) {
  const name = `AES-${mode}`;
  const alg = (bits) => `A${bits}${mode}`;
  return {
    __proto__: null,
    generateKey(params, extractable, usages) {
      checkUsages(usages, allowed);
      if (!isAesLength(params.length)) {
        throw fail.operation("AES keys have 128, 192 or 256 bits");
      }
      const algorithm = { __proto__: null, name, length: params.length };
      return makeKey("secret", extractable, algorithm, usages, randomBytes(params.length / 8));
    },
    importKey(format, data, _params, extractable, usages) {
      checkUsages(usages, allowed);
      const material = imported(format, data, "enc", usages, extractable);
      const length = TypedArrayPrototypeGetByteLength(material) * 8;
      if (!isAesLength(length)) throw fail.data("AES keys have 128, 192 or 256 bits");
      if (format === "jwk" && data.alg !== undefined && data.alg !== alg(length)) {
        throw fail.data("The JWK's member 'alg' does not fit the key");
      }
      return makeKey("secret", extractable, { __proto__: null, name, length }, usages, material);
    },
    exportKey: (format, key) => exported(format, key, alg(key.algorithm.length)),
    keyLength(params) {
      if (!isAesLength(params.length)) {
        throw fail.operation("AES keys have 128, 192 or 256 bits");
      }
      return params.length;
    },
    ...operations,
  };
}

const empty = new Uint8Array(0);

function gcm(op) {
  return (params, key, data) =>
    call(
      op,
      key.material,
      params.iv,
      params.additionalData ?? empty,
      // Lengths that are not whole bytes become one that the host refuses.
      (params.tagLength ?? 128) % 8 === 0 ? (params.tagLength ?? 128) / 8 : 0,
      data,
    );
}

function ctr(params, key, data) {
  return call(op_crypto_aes_ctr, key.material, params.counter, params.length, data);
}

const both = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];

// ---- HMAC ----------------------------------------------------------------------------------------

const hmacUsages = ["sign", "verify"];
const hashes = {
  __proto__: null,
  "SHA-1": { __proto__: null, alg: "HS1", blockBits: 512 },
  "SHA-256": { __proto__: null, alg: "HS256", blockBits: 512 },
  "SHA-384": { __proto__: null, alg: "HS384", blockBits: 1024 },
  "SHA-512": { __proto__: null, alg: "HS512", blockBits: 1024 },
};

function hmacKey(extractable, hash, length, usages, material) {
  const algorithm = { __proto__: null, name: "HMAC", hash: { __proto__: null, name: hash }, length };
  return makeKey("secret", extractable, algorithm, usages, material);
}

const HMAC = {
  __proto__: null,
  generateKey(params, extractable, usages) {
    checkUsages(usages, hmacUsages);
    const length = params.length ?? hashes[params.hash.name].blockBits;
    if (length === 0 || length > HMAC_BITS_MAX) {
      throw fail.operation(`HMAC keys are made with 1 to ${HMAC_BITS_MAX} bits`);
    }
    const material = randomBytes((length + 7 - (length + 7) % 8) / 8);
    return hmacKey(extractable, params.hash.name, length, usages, material);
  },
  importKey(format, data, params, extractable, usages) {
    checkUsages(usages, hmacUsages);
    const material = imported(format, data, "sig", usages, extractable);
    if (format === "jwk" && data.alg !== undefined && data.alg !== hashes[params.hash.name].alg) {
      throw fail.data("The JWK's member 'alg' does not fit the hash function");
    }
    const bits = TypedArrayPrototypeGetByteLength(material) * 8;
    const length = params.length ?? bits;
    if (bits === 0) throw fail.data("An HMAC key must not be empty");
    if (length > bits || length <= bits - 8) {
      throw fail.data("The length does not fit the key's bytes");
    }
    return hmacKey(extractable, params.hash.name, length, usages, material);
  },
  exportKey: (format, key) => exported(format, key, hashes[key.algorithm.hash.name].alg),
  keyLength(params) {
    if (params.length === 0) throw new TypeError("The length of an HMAC key must not be 0");
    return params.length ?? hashes[params.hash.name].blockBits;
  },
  sign: (_params, key, data) =>
    call(op_crypto_hmac_sign, key.algorithm.hash.name, key.material, data),
  verify: (_params, key, signature, data) =>
    call(op_crypto_hmac_verify, key.algorithm.hash.name, key.material, data, signature),
};

// ---- derivation ----------------------------------------------------------------------------------

const derivationUsages = ["deriveKey", "deriveBits"];

function derivation(name, derive) {
  return {
    __proto__: null,
    importKey(format, data, _params, extractable, usages) {
      if (format !== "raw") throw fail.notSupported(`${name} keys have no format '${format}'`);
      checkUsages(usages, derivationUsages);
      if (extractable) throw fail.syntax(`${name} keys must not be extractable`);
      return makeKey("secret", false, { __proto__: null, name }, usages, data);
    },
    keyLength: () => null,
    deriveBits(params, key, length) {
      if (length === null || length % 8 !== 0) {
        throw fail.operation("The length must be a multiple of 8 bits");
      }
      return derive(params, key.material, length / 8);
    },
  };
}

const HKDF = derivation("HKDF", (params, material, length) =>
  call(op_crypto_hkdf, params.hash.name, material, params.salt, params.info, length));

const PBKDF2 = derivation("PBKDF2", (params, material, length) =>
  call(op_crypto_pbkdf2, params.hash.name, material, params.salt, params.iterations, length));

return {
  __proto__: null,
  "AES-CBC": aes("CBC", both, {
    encrypt: (params, key, data) =>
      call(op_crypto_aes_cbc_encrypt, key.material, params.iv, data),
    decrypt: (params, key, data) =>
      call(op_crypto_aes_cbc_decrypt, key.material, params.iv, data),
  }),
  "AES-CTR": aes("CTR", both, { encrypt: ctr, decrypt: ctr }),
  "AES-GCM": aes("GCM", both, {
    encrypt: gcm(op_crypto_aes_gcm_encrypt),
    decrypt: gcm(op_crypto_aes_gcm_decrypt),
  }),
  "AES-KW": aes("KW", ["wrapKey", "unwrapKey"], {
    wrapKey: (_params, key, data) => call(op_crypto_aes_kw_wrap, key.material, data),
    unwrapKey: (_params, key, data) => call(op_crypto_aes_kw_unwrap, key.material, data),
  }),
  HKDF,
  HMAC,
  PBKDF2,
};
})();
