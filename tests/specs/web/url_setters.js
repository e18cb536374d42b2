// expect: completed "http://a:81/a%20b?k=%C3%BC#h"
const u = new URL("http://a/"); u.port = "81"; u.pathname = "a b"; u.searchParams.append("k", "ü"); u.hash = "h"; String(u)
