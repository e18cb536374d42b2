const list = (params) => [...params];

await about("what they are made from", () => {
  for (const [text, pairs] of [["", []], ["?", []], ["a=b", [["a", "b"]]], ["?a=b", [["a", "b"]]], ["??a=b", [["?a", "b"]]], ["a=b&a=c", [["a", "b"], ["a", "c"]]], ["a", [["a", ""]]], ["=", [["", ""]]], ["&&a&&", [["a", ""]]], ["a=b=c", [["a", "b=c"]]], ["a+b=c+d", [["a b", "c d"]]], ["a%20b=c%2Bd", [["a b", "c+d"]]], ["%zz=%", [["%zz", "%"]]], ["%E9", [["\ufffd", ""]]], ["%ef%bb%bfa=1", [["\ufeffa", "1"]]], ["a=%00", [["a", "\0"]]], ["é=😀", [["é", "😀"]]], ["a=\ud800", [["a", "\ufffd"]]], ["a;b=c", [["a;b", "c"]]]]) same(list(new URLSearchParams(text)), pairs, show(text));
  same(list(new URLSearchParams()), [], "nothing");
  same(list(new URLSearchParams(undefined)), [], "undefined");
  same(list(new URLSearchParams(null)), [["null", ""]], "null");
  same(list(new URLSearchParams({ a: 1, b: null })), [["a", "1"], ["b", "null"]], "a record");
  same(list(new URLSearchParams([["a", "1"], ["a", "2"]])), [["a", "1"], ["a", "2"]], "pairs");
  same(list(new URLSearchParams(new Map([["m", 1]]))), [["m", "1"]], "a map");
  same(list(new URLSearchParams(new URLSearchParams("x=y"))), [["x", "y"]], "others");
  const form = new FormData();
  form.append("f", "g");
  same(list(new URLSearchParams(form)), [["f", "g"]], "a form");
  for (const bad of [[["a"]], [["a", "b", "c"]], [1], [[]]]) throws(TypeError, () => new URLSearchParams(bad), `refuses ${show(bad)}`);
  throws(TypeError, () => new URLSearchParams({ [Symbol("s")]: 1 }), "a symbol");
  throws(TypeError, () => URLSearchParams(), "a call without new");
  same(list(new URLSearchParams({ "\ud835x": "1", "xx": "2", "\ud83dx": "3" })), [["\ufffdx", "3"], ["xx", "2"]], "names that become the same");
});

await about("operations", () => {
  const it = new URLSearchParams("a=1&b=2&a=3");
  same([it.get("a"), it.get("z"), it.getAll("a"), it.getAll("z"), it.has("b"), it.has("z"), it.size], ["1", null, ["1", "3"], [], true, false, 3], "find");
  same([it.has("a", "3"), it.has("a", "2"), it.has("a", undefined)], [true, false, true], "has with a value");
  it.set("a", "4");
  same(String(it), "a=4&b=2", "set");
  it.append("c", "5");
  it.set("d", "6");
  same(String(it), "a=4&b=2&c=5&d=6", "append");
  it.delete("b");
  it.delete("z");
  same(String(it), "a=4&c=5&d=6", "delete");
  it.append("c", "7");
  it.delete("c", "5");
  same(String(it), "a=4&d=6&c=7", "delete with a value");
  it.delete("c", undefined);
  same(String(it), "a=4&d=6", "delete with undefined");
  for (const name of ["append", "set"]) throws(TypeError, () => it[name]("a"), `${name} of a name`);
  for (const name of ["get", "getAll", "has", "delete"]) throws(TypeError, () => it[name](), `${name} of nothing`);
});

await about("sorting", () => {
  for (const [from, to] of [["z=b&a=b&z=a&a=a", "a=b&a=a&z=b&z=a"], ["\ufffd=x&\ufffc&\ufffd=a", "%EF%BF%BC=&%EF%BF%BD=x&%EF%BF%BD=a"], ["ﬃ&🌈", "%F0%9F%8C%88=&%EF%AC%83="], ["é&e\ufffd&e\u0301", "e%CC%81=&e%EF%BF%BD=&%C3%A9="], ["bbb&bb&aaa&aa=x&aa=y", "aa=x&aa=y&aaa=&bb=&bbb="], ["z=z&=f&=t&=x", "=f&=t&=x&z=z"], ["", ""]]) {
    const it = new URLSearchParams(from);
    it.sort();
    same(String(it), to, show(from));
  }
});

await about("texts", () => {
  for (const [value, text] of [["a b", "a+b"], ["é", "%C3%A9"], ["&=+%", "%26%3D%2B%25"], ["*-._", "*-._"], ["~!'()", "%7E%21%27%28%29"], ["\0\n", "%00%0A"], ["\ud800", "%EF%BF%BD"], ["/?#:@", "%2F%3F%23%3A%40"], ["", ""]]) {
    same(String(new URLSearchParams({ v: value })), `v=${text}`, show(value));
    same(new URLSearchParams(`v=${text}`).get("v"), value.replace("\ud800", "\ufffd"), `${show(value)} back`);
  }
});

await about("iteration", () => {
  const it = new URLSearchParams("a=1&b=2&c=3");
  same([[...it.keys()], [...it.values()]], [["a", "b", "c"], ["1", "2", "3"]], "keys and values");
  same(it[Symbol.iterator], it.entries, "the iterator");
  const seen = [];
  for (const [name] of it) {
    seen.push(name);
    it.delete(name);
  }
  same(seen, ["a", "c"], "is live");
  const calls = [];
  it.forEach(function (value, name, all) { calls.push(value, name, all === it, this.x); }, { x: 1 });
  same(calls, ["2", "b", true, 1], "forEach");
  throws(TypeError, () => it.forEach(1), "forEach of no function");
  same(Object.prototype.toString.call(it), "[object URLSearchParams]", "is named");
});
