// Key pairs: RSA, the NIST curves, Ed25519 and X25519.
//
// Each algorithm is an object whose methods are the operations of the standard that it has. A `Family`
// is how its keys are made, brought in and written out.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeIncludes,
  ArrayPrototypePush,
  TypedArrayPrototypeGetByteLength,
  Uint8Array,
} = primordials;
const {
  op_crypto_base64url_decode,
  op_crypto_base64url_encode,
  op_crypto_copy_buffer,
  op_crypto_ec_check_pair,
  op_crypto_ec_halves,
  op_crypto_ec_point,
  op_crypto_ec_point_of,
  op_crypto_ecdh,
  op_crypto_ecdsa_sign,
  op_crypto_ecdsa_verify,
  op_crypto_ed25519_sign,
  op_crypto_ed25519_verify,
  op_crypto_equal,
  op_crypto_first_bits,
  op_crypto_generate,
  op_crypto_pkcs8_read,
  op_crypto_pkcs8_write,
  op_crypto_public,
  op_crypto_rsa_decrypt,
  op_crypto_rsa_encrypt,
  op_crypto_rsa_private_numbers,
  op_crypto_rsa_private_of,
  op_crypto_rsa_public_numbers,
  op_crypto_rsa_public_of,
  op_crypto_rsa_sign,
  op_crypto_rsa_verify,
  op_crypto_spki_read,
  op_crypto_spki_write,
  op_crypto_x25519,
} = core.ops;

const { makeKey, recordOf } = core.loadExtScript("ext:mcp_v8/crypto_key.js");
const { call, fail } = core.loadExtScript("ext:mcp_v8/crypto_params.js");
const { checkJwk, checkUsages } = core.loadExtScript("ext:mcp_v8/crypto_jwk.js");

function member(jwk, name) {
  if (jwk[name] === undefined) throw fail.data(`The JWK has no member '${name}'`);
  return call(op_crypto_base64url_decode, jwk[name]);
}

// The usages that are allowed. Not by `filter`, which makes its result by what a script can replace.
function only(usages, allowed) {
  const left = [];
  for (let i = 0; i < usages.length; ++i) {
    if (ArrayPrototypeIncludes(allowed, usages[i])) ArrayPrototypePush(left, usages[i]);
  }
  return left;
}

// Algorithms with key pairs. `kind` tells the kinds of key apart:
//   usages, privateUsages, publicUsages   those of the pair, and of each half
//   use                              what a JWK's `use` must be
//   kty                              what a JWK's `kty` must be
//   family(algorithm | params)       the name by which the host knows it
//   describe(params, isPrivate, material)   the key's algorithm
//   fromJwk(jwk, params)             its material; `d` tells whether it is private
//   toJwk(key)                       the members that are its own
//   rawPublic(params, bytes)         material of bytes, where there is a raw format
function pairs(kind, operations) {
  const { privateUsages, publicUsages } = kind;

  function read(format, data, params, extractable, usages) {
    switch (format) {
      case "spki":
        checkUsages(usages, publicUsages);
        return call(op_crypto_spki_read, kind.family(params), data);
      case "pkcs8":
        checkUsages(usages, privateUsages);
        return call(op_crypto_pkcs8_read, kind.family(params), data);
      case "jwk":
        checkUsages(usages, data.d === undefined ? publicUsages : privateUsages);
        checkJwk(data, kind.kty, kind.use, usages, extractable);
        return kind.fromJwk(data, params);
      default:
        if (kind.rawPublic === undefined) {
          throw fail.notSupported(`${kind.name} keys have no format '${format}'`);
        }
        checkUsages(usages, publicUsages);
        return kind.rawPublic(params, data);
    }
  }

  function mustBe(type, key, format) {
    if (key.type !== type) {
      throw fail.access(`A ${key.type} key has no format '${format}'`);
    }
  }

  return {
    __proto__: null,
    generateKey(params, extractable, usages) {
      checkUsages(usages, kind.usages);
      kind.checkParams?.(params);
      const family = kind.family(params);
      const material = call(op_crypto_generate, family, params.modulusLength ?? 0);
      const shared = call(op_crypto_public, family, material);
      const algorithm = kind.describe(params, true, material);
      return {
        publicKey: makeKey("public", true, algorithm, only(usages, publicUsages), shared),
        privateKey: makeKey(
          "private", extractable, algorithm, only(usages, privateUsages), material,
        ),
      };
    },
    importKey(format, data, params, extractable, usages) {
      const isPrivate = format === "pkcs8" || (format === "jwk" && data.d !== undefined);
      const material = read(format, data, params, extractable, usages);
      const algorithm = kind.describe(params, isPrivate, material);
      return makeKey(isPrivate ? "private" : "public", extractable, algorithm, usages, material);
    },
    exportKey(format, key) {
      const family = kind.family(key.algorithm);
      switch (format) {
        case "spki":
          mustBe("public", key, format);
          return call(op_crypto_spki_write, family, key.material);
        case "pkcs8":
          mustBe("private", key, format);
          return call(op_crypto_pkcs8_write, family, key.material);
        case "jwk":
          return {
            __proto__: null,
            kty: kind.kty,
            ...kind.toJwk(key),
            key_ops: key.usages,
            ext: key.extractable,
          };
        default:
          if (kind.rawPublic === undefined) {
            throw fail.notSupported(`${kind.name} keys have no format '${format}'`);
          }
          mustBe("public", key, format);
          return op_crypto_copy_buffer(key.material);
      }
    },
    ...operations,
  };
}

function mustHaveType(type, key) {
  if (key.type !== type) throw fail.access(`The operation needs a ${type} key`);
}

const signing = {
  __proto__: null,
  use: "sig",
  usages: ["sign", "verify"],
  privateUsages: ["sign"],
  publicUsages: ["verify"],
};
const agreeing = {
  __proto__: null,
  use: "enc",
  usages: ["deriveKey", "deriveBits"],
  privateUsages: ["deriveKey", "deriveBits"],
  publicUsages: [],
};

// ---- RSA -----------------------------------------------------------------------------------------

const rsaNumbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

function rsa(name, roles, algs, operations) {
  return pairs({
    __proto__: null,
    ...roles,
    name,
    kty: "RSA",
    family: () => "RSA",
    checkParams(params) {
      const exponent = op_crypto_base64url_encode(params.publicExponent);
      if (exponent !== "AQAB") throw fail.operation("The public exponent must be 65537");
    },
    describe(params, isPrivate, material) {
      const op = isPrivate ? op_crypto_rsa_private_numbers : op_crypto_rsa_public_numbers;
      const numbers = call(op, material);
      return {
        __proto__: null,
        name,
        modulusLength: numbers[0],
        publicExponent: numbers[2],
        hash: { __proto__: null, name: params.hash.name },
      };
    },
    fromJwk(jwk, params) {
      if (jwk.alg !== undefined && jwk.alg !== algs[params.hash.name]) {
        throw fail.data("The JWK's member 'alg' does not fit the algorithm and hash function");
      }
      const n = member(jwk, "n");
      const e = member(jwk, "e");
      if (jwk.d === undefined) return call(op_crypto_rsa_public_of, n, e);
      if (jwk.oth !== undefined) throw fail.notSupported("RSA keys have two primes here");
      const material = call(
        op_crypto_rsa_private_of, n, e, member(jwk, "d"), member(jwk, "p"), member(jwk, "q"),
      );
      // The rest must be there; it is computed anew.
      member(jwk, "dp");
      member(jwk, "dq");
      member(jwk, "qi");
      return material;
    },
    toJwk(key) {
      const isPrivate = key.type === "private";
      const op = isPrivate ? op_crypto_rsa_private_numbers : op_crypto_rsa_public_numbers;
      const numbers = call(op, key.material);
      const jwk = { __proto__: null, alg: algs[key.algorithm.hash.name] };
      for (let i = 1; i < numbers.length; ++i) {
        jwk[rsaNumbers[i - 1]] = op_crypto_base64url_encode(numbers[i]);
      }
      return jwk;
    },
  }, operations);
}

// `saltOf` gives the salt's length, or undefined where there is none.
function rsaSignatures(saltOf) {
  return {
    __proto__: null,
    sign(params, key, data) {
      mustHaveType("private", key);
      return call(op_crypto_rsa_sign, saltOf(params), key.algorithm.hash.name, key.material, data);
    },
    verify(params, key, signature, data) {
      mustHaveType("public", key);
      const { hash } = key.algorithm;
      return call(op_crypto_rsa_verify, saltOf(params), hash.name, key.material, data, signature);
    },
  };
}

const noLabel = new Uint8Array(0);

function rsaEncryption(op, type) {
  return (params, key, data) => {
    mustHaveType(type, key);
    return call(op, key.algorithm.hash.name, key.material, params.label ?? noLabel, data);
  };
}

function algNames(...names) {
  return {
    __proto__: null,
    "SHA-1": names[0],
    "SHA-256": names[1],
    "SHA-384": names[2],
    "SHA-512": names[3],
  };
}

// ---- NIST's curves -------------------------------------------------------------------------------

const curves = { __proto__: null, "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

function nist(name, roles, checkAlg, operations) {
  function checkParams(params) {
    if (curves[params.namedCurve] === undefined) {
      throw fail.notSupported(`Unrecognized named curve: ${params.namedCurve}`);
    }
  }
  return pairs({
    __proto__: null,
    ...roles,
    name,
    kty: "EC",
    checkParams,
    family: (params) => params.namedCurve,
    describe: (params) => ({ __proto__: null, name, namedCurve: params.namedCurve }),
    rawPublic: (params, bytes) => call(op_crypto_ec_point, params.namedCurve, bytes),
    fromJwk(jwk, params) {
      checkParams(params);
      if (jwk.crv !== params.namedCurve) {
        throw fail.data(`The JWK's member 'crv' must be '${params.namedCurve}'`);
      }
      if (checkAlg && jwk.alg !== undefined && jwk.alg !== curves[jwk.crv]) {
        throw fail.data("The JWK's member 'alg' does not fit the curve");
      }
      const point = call(op_crypto_ec_point_of, jwk.crv, member(jwk, "x"), member(jwk, "y"));
      if (jwk.d === undefined) return point;
      const material = member(jwk, "d");
      call(op_crypto_ec_check_pair, jwk.crv, material, point);
      return material;
    },
    toJwk(key) {
      const { namedCurve } = key.algorithm;
      const isPrivate = key.type === "private";
      const point = isPrivate ? call(op_crypto_public, namedCurve, key.material) : key.material;
      const halves = call(op_crypto_ec_halves, point);
      const jwk = { __proto__: null, crv: namedCurve, x: halves[0], y: halves[1] };
      if (isPrivate) jwk.d = op_crypto_base64url_encode(key.material);
      return jwk;
    },
  }, operations);
}

// ---- the curve of Ed25519 and X25519 ----------------------------------------------------------------

function edwards(name, roles, algs, operations) {
  const checkLength = (bytes) => {
    if (TypedArrayPrototypeGetByteLength(bytes) !== 32) {
      throw fail.data(`${name} keys have 32 bytes`);
    }
    return bytes;
  };
  return pairs({
    __proto__: null,
    ...roles,
    name,
    kty: "OKP",
    family: () => name,
    describe: () => ({ __proto__: null, name }),
    rawPublic: (_params, bytes) => checkLength(bytes),
    fromJwk(jwk) {
      if (jwk.crv !== name) throw fail.data(`The JWK's member 'crv' must be '${name}'`);
      if (algs !== null && jwk.alg !== undefined && !ArrayPrototypeIncludes(algs, jwk.alg)) {
        throw fail.data("The JWK's member 'alg' does not fit the curve");
      }
      const x = checkLength(member(jwk, "x"));
      if (jwk.d === undefined) return x;
      const material = checkLength(member(jwk, "d"));
      if (!call(op_crypto_equal, call(op_crypto_public, name, material), x)) {
        throw fail.data("The public key does not belong to the private key");
      }
      return material;
    },
    toJwk(key) {
      const isPrivate = key.type === "private";
      const x = isPrivate ? call(op_crypto_public, name, key.material) : key.material;
      const jwk = { __proto__: null, crv: name, x: op_crypto_base64url_encode(x) };
      if (isPrivate) jwk.d = op_crypto_base64url_encode(key.material);
      if (algs !== null) jwk.alg = algs[0];
      return jwk;
    },
  }, operations);
}

// ---- agreement -----------------------------------------------------------------------------------

function agreement(agree) {
  return {
    __proto__: null,
    deriveBits(params, key, length) {
      mustHaveType("private", key);
      const other = recordOf(params.public);
      if (other.type !== "public") throw fail.access("The other side's key must be public");
      if (
        other.algorithm.name !== key.algorithm.name ||
        other.algorithm.namedCurve !== key.algorithm.namedCurve
      ) {
        throw fail.access("The two keys are not of one algorithm and curve");
      }
      const secret = agree(key, other);
      return length === null ? secret : call(op_crypto_first_bits, secret, length);
    },
  };
}

return {
  __proto__: null,
  "RSASSA-PKCS1-v1_5": rsa(
    "RSASSA-PKCS1-v1_5",
    signing,
    algNames("RS1", "RS256", "RS384", "RS512"),
    rsaSignatures(() => undefined),
  ),
  "RSA-PSS": rsa(
    "RSA-PSS",
    signing,
    algNames("PS1", "PS256", "PS384", "PS512"),
    rsaSignatures((params) => params.saltLength),
  ),
  "RSA-OAEP": rsa(
    "RSA-OAEP",
    {
      __proto__: null,
      use: "enc",
      usages: ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
      privateUsages: ["decrypt", "unwrapKey"],
      publicUsages: ["encrypt", "wrapKey"],
    },
    algNames("RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"),
    {
      __proto__: null,
      encrypt: rsaEncryption(op_crypto_rsa_encrypt, "public"),
      decrypt: rsaEncryption(op_crypto_rsa_decrypt, "private"),
    },
  ),
  ECDSA: nist("ECDSA", signing, true, {
    __proto__: null,
    sign(params, key, data) {
      mustHaveType("private", key);
      const { namedCurve } = key.algorithm;
      return call(op_crypto_ecdsa_sign, namedCurve, params.hash.name, key.material, data);
    },
    verify(params, key, signature, data) {
      mustHaveType("public", key);
      const { namedCurve } = key.algorithm;
      const { hash } = params;
      return call(op_crypto_ecdsa_verify, namedCurve, hash.name, key.material, data, signature);
    },
  }),
  ECDH: nist("ECDH", agreeing, false, agreement((key, other) =>
    call(op_crypto_ecdh, key.algorithm.namedCurve, key.material, other.material))),
  Ed25519: edwards("Ed25519", signing, ["Ed25519", "EdDSA"], {
    __proto__: null,
    sign(_params, key, data) {
      mustHaveType("private", key);
      return call(op_crypto_ed25519_sign, key.material, data);
    },
    verify(_params, key, signature, data) {
      mustHaveType("public", key);
      return call(op_crypto_ed25519_verify, key.material, data, signature);
    },
  }),
  X25519: edwards("X25519", agreeing, null, agreement((key, other) =>
    call(op_crypto_x25519, key.material, other.material))),
};
})();
