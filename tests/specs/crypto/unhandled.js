// expect: failed unhandled_rejection
// error: "DataError: AES keys have 128, 192 or 256 bits"
crypto.subtle.importKey("raw", new Uint8Array(3), "AES-GCM", true, ["encrypt"]);
1
