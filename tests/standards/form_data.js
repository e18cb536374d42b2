const entries = (form) => [...form].map(([name, value]) => [name, typeof value === "string" ? value : `${value.name}:${value.type}`]);
const formOf = (...pairs) => pairs.reduce((form, pair) => (form.append(...pair), form), new FormData());

await about("entries", () => {
  const it = formOf(["a", "1"], ["b", "2"], ["a", "3"]);
  same(entries(it), [["a", "1"], ["b", "2"], ["a", "3"]], "in their order");
  same([it.get("a"), it.get("c"), it.getAll("a"), it.getAll("c"), it.has("b"), it.has("c")], ["1", null, ["1", "3"], [], true, false], "are found");
  it.set("a", "4");
  same(entries(it), [["a", "4"], ["b", "2"]], "set replaces the first and drops the rest");
  it.set("c", "5");
  same(it.get("c"), "5", "set adds");
  it.delete("b");
  same(entries(it), [["a", "4"], ["c", "5"]], "delete");
  same(it.delete("none"), undefined, "delete of none");
  same(it.append("n", 1), undefined, "append gives nothing");
  same(it.get("n"), "1", "numbers are texts");
  for (const [value, text] of [[null, "null"], [undefined, "undefined"], [true, "true"], [{}, "[object Object]"], ["\ud800", "\ufffd"]]) {
    it.set("v", value);
    same(it.get("v"), text, `value ${show(value)}`);
    it.set(value, "x");
    same(it.get(text), "x", `name ${show(value)}`);
  }
  for (const name of ["append", "set"]) {
    throws(TypeError, () => it[name](), `${name} of nothing`);
    throws(TypeError, () => it[name]("a"), `${name} of a name`);
    throws(TypeError, () => it[name]("a", "b", "c"), `${name} of a text with a file's name`);
  }
  for (const name of ["get", "getAll", "has", "delete"]) throws(TypeError, () => it[name](), `${name} of nothing`);
  for (const bad of [null, {}, "x", 1]) throws(TypeError, () => new FormData(bad), `made of ${show(bad)}`);
  same([...new FormData(undefined)], [], "made of undefined");
  throws(TypeError, () => FormData(), "a call without new");
});

await about("files", async () => {
  const it = new FormData();
  it.append("blob", new Blob(["x"], { type: "a/b" }));
  same(entries(it), [["blob", "blob:a/b"]], "a blob is a file");
  yes(it.get("blob") instanceof File, "of its class");
  it.append("named", new Blob(["x"]), "n.txt");
  same(it.get("named").name, "n.txt", "with a name");
  const file = new File(["f"], "f.txt", { type: "t/x", lastModified: 5 });
  it.append("file", file);
  same([it.get("file") === file, it.get("file").lastModified], [true, 5], "a file is itself");
  it.append("again", file, "other");
  same([it.get("again").name, it.get("again").type, it.get("again").lastModified, await it.get("again").text()], ["other", "t/x", 5, "f"], "unless it is renamed");
  it.append("empty", file, "");
  same(it.get("empty").name, "", "an empty name is one");
  it.append("undefined", file, undefined);
  same(it.get("undefined").name, "f.txt", "undefined is none");
  it.append("null", file, null);
  same(it.get("null").name, "null", "null is one");
});

await about("iteration", () => {
  const it = formOf(["a", "1"], ["b", "2"]);
  same([[...it.keys()], [...it.values()], [...it.entries()]], [["a", "b"], ["1", "2"], [["a", "1"], ["b", "2"]]], "keys, values, entries");
  same(it[Symbol.iterator], it.entries, "the iterator");
  const seen = [];
  it.forEach((value, name, all) => seen.push(name, value, all === it));
  same(seen, ["a", "1", true, "b", "2", true], "forEach");
  const live = it.keys();
  live.next();
  it.append("c", "3");
  it.delete("a");
  same([...live], ["c"], "is live");
  same(Object.prototype.toString.call(it), "[object FormData]", "is named");
  same(Object.prototype.toString.call(it.keys()), "[object FormData Iterator]", "so is the iterator");
  for (const name of ["append", "delete", "get", "getAll", "has", "set", "forEach", "keys", "values", "entries"]) throws(TypeError, () => FormData.prototype[name].call({}, "a", "b"), `${name} of another`);
});

await about("multipart", async () => {
  const names = ["a", "", "é", "a\nb", "a\rb", "a\r\nb", 'a"b', "😀", "a;b", "a\\b", "\0"];
  for (const name of names) {
    const back = await new Response(formOf([name, "v"])).formData();
    same([...back.keys()], [name.replace(/\r\n|\r|\n/g, "\r\n")], `name ${show(name)}`);
    const file = await new Response(formOf(["f", new File(["x"], name)])).formData();
    same(file.get("f").name, name, `file ${show(name)}`);
  }
  for (const value of ["", "v", "é", "\n", "\r", "\r\n", "a\n\rb", "--", "\r\n--x", "\ufeffa", "😀"]) {
    const back = await new Response(formOf(["n", value])).formData();
    same(back.get("n"), value.replace(/\r\n|\r|\n/g, "\r\n"), `value ${show(value)}`);
  }
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const back = await new Response(formOf(["f", new Blob([every])])).formData();
  same(new Uint8Array(await back.get("f").arrayBuffer()), every, "every byte");
  same(back.get("f").type, "application/octet-stream", "a type where there was none");
  const typed = await new Response(formOf(["f", new File([""], "n", { type: "text/x" })])).formData();
  same([typed.get("f").type, typed.get("f").size], ["text/x", 0], "an empty file with a type");
  same(entries(await new Response(new FormData()).formData()), [], "an empty form");
  const many = new FormData();
  for (let i = 0; i < 100; i++) many.append(`n${i % 7}`, String(i));
  same(entries(await new Response(many).formData()), entries(many), "many");
  const raw = await new Response(formOf(["a", "b"])).text();
  const boundary = raw.slice(2, raw.indexOf("\r\n"));
  same(raw, `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--${boundary}--\r\n`, "what is written");
  yes(boundary.length >= 27 && boundary.length <= 70, "a boundary of the right size");
});

await about("what is parsed", async () => {
  const parse = (text, type = "multipart/form-data; boundary=B") => new Response(text, { headers: { "content-type": type } }).formData();
  const part = (head, value = "v") => `--B\r\n${head}\r\n\r\n${value}\r\n--B--\r\n`;
  same(entries(await parse(part('Content-Disposition: form-data; name="n"'))), [["n", "v"]], "a field");
  same(entries(await parse(part('content-disposition: form-data; name="n"'))), [["n", "v"]], "a header in small letters");
  same(entries(await parse(part('Content-Disposition: form-data; name="n"; filename="f"'))), [["n", "f:text/plain"]], "a file");
  same(entries(await parse(part('Content-Type: a/b\r\nContent-Disposition: form-data; name="n"; filename="f"'))), [["n", "f:a/b"]], "a file with a type in front");
  same(entries(await parse(part('X-Other: 1\r\nContent-Disposition: form-data; name="n"'))), [["n", "v"]], "another header");
  same(entries(await parse("--B--\r\n")), [], "nothing");
  same(entries(await parse("--B--")), [], "nothing without an end of line");
  same(entries(await parse(part('Content-Disposition: form-data; name="n"'), 'multipart/form-data; boundary="B"')), [["n", "v"]], "a quoted boundary");
  for (const [text, what] of [["", "nothing at all"], ["--B", "no end"], ["--B\r\n", "no part"], ["--C--\r\n", "another boundary"], [part("Content-Disposition: form-data"), "no name"], [part("Content-Disposition: attachment; name=\"n\""), "another disposition"], [part("X: y"), "no disposition"], ['--B\r\nContent-Disposition: form-data; name="n"\r\n\r\nv', "a part without an end"]]) await rejects(TypeError, parse(text), what);
  await rejects(TypeError, parse("--B--", "multipart/form-data"), "no boundary");
  for (const type of ["text/plain", "application/json", "multipart/mixed; boundary=B", "bad"]) await rejects(TypeError, parse("a=b", type), `type ${type}`);
  await rejects(TypeError, new Response("a=b").formData(), "the type of a text");
  await rejects(TypeError, new Response(new Uint8Array()).formData(), "no type");
  const encoded = (text) => parse(text, "application/x-www-form-urlencoded");
  for (const [text, list] of [["a=b", [["a", "b"]]], ["", []], ["&&", []], ["a", [["a", ""]]], ["=b", [["", "b"]]], ["a=b&a=c", [["a", "b"], ["a", "c"]]], ["a+b=c%20d", [["a b", "c d"]]], ["%C3%A9=%ff", [["é", "\ufffd"]]], ["a=b=c", [["a", "b=c"]]], ["%=%2", [["%", "%2"]]]]) same(entries(await encoded(text)), list, `encoded ${show(text)}`);
  same(entries(await parse("a=b", "application/x-www-form-urlencoded;charset=windows-1252")), [["a", "b"]], "an encoding that is not asked");
  same(entries(await new Response(new URLSearchParams({ q: "é &" })).formData()), [["q", "é &"]], "parameters");
});
