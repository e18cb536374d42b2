// expect: failed unprintable
// error: "revoked"
const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); proxy
