// expect: completed "GET|http://a/?x#y|follow|cors|same-origin|default|about:client|||false||half|null|false"
// grants: fetch
const q = new Request("http://a?x#y");
[q.method, q.url, q.redirect, q.mode, q.credentials, q.cache, q.referrer, q.referrerPolicy, q.integrity, q.keepalive, q.destination, q.duplex, String(q.body), q.signal.aborted].join("|")
