const parts = ["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

await about("parsing", () => {
  for (const [input, href, base] of [
    ["http://a", "http://a/"], ["HTTP://A.B:80/C", "http://a.b/C"], ["https://a:443", "https://a/"], ["https://a:80", "https://a:80/"], ["http:a", "http://b/a", "http://b/"], ["//c/d", "http://c/d", "http://b/"], ["/x", "http://b/x", "http://b/y/z"], ["x", "http://b/y/x", "http://b/y/z"], ["../x", "http://b/x", "http://b/y/z"], ["?q", "http://b/y/z?q", "http://b/y/z?o#h"], ["#f", "http://b/y/z?o#f", "http://b/y/z?o#h"], ["", "http://b/y/z?o", "http://b/y/z?o#h"], ["http://a/./b/../c", "http://a/c"], ["http://a/%2e/b/%2E%2e/c", "http://a/c"], ["http://a/b/.", "http://a/b/"], ["http://a/b/..", "http://a/"], ["http://a\\b\\c", "http://a/b/c"], ["  http://a/ b \n", "http://a/%20b"], ["ht\ntp://a/\tb", "http://a/b"], ["http://é/", "http://xn--9ca/"], ["http://ＧＯ.com", "http://go.com/"], ["http://a/é?é#é", "http://a/%C3%A9?%C3%A9#%C3%A9"], ["http://1.2.3", "http://1.2.0.3/"], ["http://0x7f.1", "http://127.0.0.1/"], ["http://017700000001", "http://127.0.0.1/"], ["http://4294967295", "http://255.255.255.255/"], ["http://[::1]", "http://[::1]/"], ["http://[1:0:0:0:0:0:0:1]:8", "http://[1::1]:8/"], ["http://[::127.0.0.1]", "http://[::7f00:1]/"], ["http://u:p@a", "http://u:p@a/"], ["http://u@:p@a", "http://u%40:p@a/"], ["http://@a", "http://a/"], ["http://a:", "http://a/"], ["http://a:0", "http://a:0/"], ["http://a:65535", "http://a:65535/"], ["http://a?b", "http://a/?b"], ["http://a#b", "http://a/#b"], ["http://%41", "http://a/"], ["http://a/'\"<>`{}|^", "http://a/'%22%3C%3E%60%7B%7D|%5E"], ["http://a/?'\"<>`{}|^", "http://a/?%27%22%3C%3E`{}|^"], ["http://a/#'\"<>`{}|^", "http://a/#'%22%3C%3E%60{}|^"], ["mailto:x@y", "mailto:x@y"], ["data:,a b", "data:,a b"], ["javascript:a b", "javascript:a b"], ["foo://H/%41", "foo://H/%41"], ["foo:/a/../b", "foo:/b"], ["foo:a/../b", "foo:a/../b"], ["file:///C:/a", "file:///C:/a"], ["file:///C|/a", "file:///C:/a"], ["file://localhost/a", "file:///a"], ["file:a", "file:///a"], ["blob:http://a/x", "blob:http://a/x"], ["ws://a:80", "ws://a/"], ["wss://a:443", "wss://a/"], ["ftp://a:21", "ftp://a/"], ["http://a/%zz%", "http://a/%zz%"], ["http://a/\ud800", "http://a/%EF%BF%BD"], ["web+demo:/.//not-a-host", "web+demo:/.//not-a-host"],
  ]) {
    const what = base === undefined ? show(input) : `${show(input)} on ${base}`;
    same(new URL(input, base).href, href, what);
    same(URL.canParse(input, base), true, `${what} can be parsed`);
  }
  for (const bad of ["", "x", "//a", "http://", "http:", "https://?", "http://a b", "http://a:65536", "http://a:x", "http://[::1", "http://[1:2]", "http://[::g]", "http://256.0.0.1", "http://1.2.3.4.5", "http://0x100000000", "http://a<b", "http://a>b", "http://a^b", "http://a|b", "http://a%", "http://%00", "http://\u00ad", "http://xn--", "http://u:p@", "foo://a b/", "foo://[x]", "1:2", ":", "file://a:1/"]) {
    throws(TypeError, () => new URL(bad), `refuses ${show(bad)}`);
    same(URL.canParse(bad), false, `${show(bad)} cannot be parsed`);
    same(URL.parse(bad), null, `${show(bad)} gives null`);
  }
  throws(TypeError, () => new URL("/a", "b"), "a wrong base");
  throws(TypeError, () => new URL("a", "mailto:x"), "a base without a path");
  same(new URL("#a", "mailto:x").href, "mailto:x#a", "but for a fragment");
  throws(TypeError, () => new URL(), "nothing");
  throws(TypeError, () => URL("http://a"), "a call without new");
  same(new URL("x", new URL("http://a/b")).href, "http://a/x", "a URL as the base");
  same(URL.parse("x", "http://a/b").href, "http://a/x", "parse with a base");
});

await about("parts", () => {
  const it = new URL("http://u:p@a.b:8/c/d?e=f#g");
  same(parts.map((name) => it[name]), ["http:", "u", "p", "a.b:8", "a.b", "8", "/c/d", "?e=f", "#g"], "all of them");
  same([it.origin, String(it), it.toJSON(), JSON.stringify({ it })], ["http://a.b:8", it.href, it.href, `{"it":"${it.href}"}`], "as a whole");
  for (const [url, origin] of [["http://a:80/", "http://a"], ["https://a:1", "https://a:1"], ["ftp://a", "ftp://a"], ["ws://a", "ws://a"], ["file:///a", "null"], ["data:,", "null"], ["blob:http://a/x", "http://a"], ["blob:ftp://a/x", "null"], ["blob:x", "null"], ["foo://a", "null"]]) same(new URL(url).origin, origin, `origin of ${url}`);
  throws(TypeError, () => { "use strict"; it.origin = "x"; }, "the origin is fixed");
  same(it.searchParams, it.searchParams, "the same parameters each time");
  same(Object.prototype.toString.call(it), "[object URL]", "is named");
});

await about("setters", () => {
  for (const [name, url, value, href] of [
    ["protocol", "http://a/", "https", "https://a/"], ["protocol", "http://a/", "https:x", "https://a/"], ["protocol", "http://a/", "foo", "http://a/"], ["protocol", "foo://a/", "http", "foo://a/"], ["protocol", "http://a:443/", "https", "https://a/"], ["protocol", "http://u@a/", "file", "http://u@a/"], ["protocol", "http://a/", "1", "http://a/"], ["username", "http://a/", "u", "http://u@a/"], ["username", "http://a/", "é@", "http://%C3%A9%40@a/"], ["username", "http://u@a/", "", "http://a/"], ["username", "mailto:x", "u", "mailto:x"], ["password", "http://a/", "p", "http://:p@a/"], ["password", "http://u:p@a/", "", "http://u@a/"], ["host", "http://a/", "b:8", "http://b:8/"], ["host", "http://a:8/", "b", "http://b:8/"], ["host", "http://a/", "b/c", "http://b/"], ["host", "http://a/", "", "http://a/"], ["host", "http://a/", "b:x", "http://b/"], ["host", "mailto:x", "b", "mailto:x"], ["hostname", "http://a:8/", "b", "http://b:8/"], ["hostname", "http://a/", "b c", "http://a/"], ["hostname", "http://a/", "0x1", "http://0.0.0.1/"], ["port", "http://a/", "8", "http://a:8/"], ["port", "http://a:8/", "80", "http://a/"], ["port", "http://a:8/", "", "http://a/"], ["port", "http://a/", "8x", "http://a:8/"], ["port", "http://a:8/", "x", "http://a:8/"], ["port", "http://a:8/", "65536", "http://a:8/"], ["port", "file:///a", "8", "file:///a"], ["pathname", "http://a/", "b", "http://a/b"], ["pathname", "http://a/", "/b/../c?#", "http://a/c%3F%23"], ["pathname", "http://a/b", "", "http://a/"], ["pathname", "mailto:x", "y", "mailto:x"], ["pathname", "foo://a/b", "", "foo://a"], ["search", "http://a/", "b", "http://a/?b"], ["search", "http://a/", "?b#", "http://a/?b%23"], ["search", "http://a/?b", "", "http://a/"], ["search", "http://a/", "?", "http://a/?"], ["hash", "http://a/", "b", "http://a/#b"], ["hash", "http://a/", "#b#", "http://a/#b#"], ["hash", "http://a/#b", "", "http://a/"], ["hash", "javascript:x", "b", "javascript:x#b"], ["href", "http://a/", "http://b", "http://b/"],
  ]) {
    const it = new URL(url);
    it[name] = value;
    same(it.href, href, `${name} of ${url} to ${show(value)}`);
  }
  const it = new URL("http://a/");
  throws(TypeError, () => it.href = "x", "a wrong href");
  same(it.href, "http://a/", "leaves it");
});

await about("parameters of a URL", () => {
  const it = new URL("http://a/?b=c");
  it.searchParams.append("d", "é &");
  same(it.search, "?b=c&d=%C3%A9+%26", "change it");
  it.search = "?x=1";
  same([...it.searchParams], [["x", "1"]], "follow it");
  it.searchParams.delete("x");
  same(it.href, "http://a/", "leave nothing behind");
  it.href = "http://b/?q=r";
  same(it.searchParams.get("q"), "r", "follow a new URL");
  it.searchParams.set("q", "~'()!*-._");
  same(it.search, "?q=%7E%27%28%29%21*-._", "are encoded as forms are");
});
