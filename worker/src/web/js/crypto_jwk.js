// What every kind of key checks when it is brought in: usages, and the common members of a JWK.
(function () {
const { core, primordials } = __bootstrap;
const { ArrayPrototypeIncludes, ArrayPrototypeIndexOf } = primordials;

const { fail } = core.loadExtScript("ext:mcp_v8/crypto_params.js");

function checkUsages(usages, allowed) {
  for (let i = 0; i < usages.length; ++i) {
    if (!ArrayPrototypeIncludes(allowed, usages[i])) {
      throw fail.syntax(`The key cannot have the usage '${usages[i]}'`);
    }
  }
}

function checkKeyOps(operations, usages) {
  for (let i = 0; i < operations.length; ++i) {
    if (ArrayPrototypeIndexOf(operations, operations[i]) !== i) {
      throw fail.data("The JWK's member 'key_ops' names an operation twice");
    }
  }
  for (let i = 0; i < usages.length; ++i) {
    if (!ArrayPrototypeIncludes(operations, usages[i])) {
      throw fail.data(`The JWK's member 'key_ops' does not allow '${usages[i]}'`);
    }
  }
}

// `use` is what the member of that name must be, if it is there and the key is to be used.
function checkJwk(jwk, kty, use, usages, extractable) {
  if (jwk.kty !== kty) throw fail.data(`The JWK's member 'kty' must be '${kty}'`);
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) {
    throw fail.data(`The JWK's member 'use' must be '${use}'`);
  }
  if (jwk.key_ops !== undefined) checkKeyOps(jwk.key_ops, usages);
  if (jwk.ext === false && extractable) {
    throw fail.data("The JWK's member 'ext' forbids an extractable key");
  }
}

return { checkJwk, checkUsages };
})();
