// expect: failed exception
// error: "NotSupportedError: Failed to execute 'digest' on 'SubtleCrypto': Unrecognized algorithm name for digest: MD5"
// error: "<anonymous>:5:21"

await crypto.subtle.digest("MD5", new Uint8Array(1));
