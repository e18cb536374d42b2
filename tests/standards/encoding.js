const decode = (bytes, label = "utf-8", options = {}) => new TextDecoder(label, options).decode(new Uint8Array(bytes));

await about("TextEncoder", () => {
  const it = new TextEncoder();
  same(it.encoding, "utf-8", "its encoding");
  for (const [text, bytes] of [["", []], ["a", [97]], ["é", [195, 169]], ["€", [226, 130, 172]], ["😀", [240, 159, 152, 128]], ["\ud800", [239, 191, 189]], ["\udc00", [239, 191, 189]], ["\udc00\ud800", [239, 191, 189, 239, 191, 189]], ["\ud83dx", [239, 191, 189, 120]], ["\0", [0]], ["\ufeff", [239, 187, 191]]]) same(Array.from(it.encode(text)), bytes, `encode ${show(text)}`);
  same(it.encode().length, 0, "nothing");
  same(it.encode(undefined).length, 0, "undefined");
  same(Array.from(it.encode(null)), [110, 117, 108, 108], "null is a text");
  yes(it.encode("x") instanceof Uint8Array, "gives Uint8Array");
  for (const [text, size, read, written] of [["abc", 10, 3, 3], ["abc", 2, 2, 2], ["é", 1, 0, 0], ["aé", 2, 1, 1], ["😀", 3, 0, 0], ["😀", 4, 2, 4], ["\ud800", 3, 1, 3], ["", 0, 0, 0], ["a", 0, 0, 0]]) {
    const result = it.encodeInto(text, new Uint8Array(size));
    same([result.read, result.written], [read, written], `${show(text)} into ${size}`);
  }
  const buffer = new Uint8Array(6).fill(7);
  it.encodeInto("ab", buffer.subarray(2, 4));
  same(buffer, new Uint8Array([7, 7, 97, 98, 7, 7]), "into a part");
  for (const bad of [new Uint16Array(4), new ArrayBuffer(4), new DataView(new ArrayBuffer(4)), [], null, undefined]) throws(TypeError, () => it.encodeInto("a", bad), `into ${show(bad)}`);
  throws(TypeError, () => TextEncoder(), "a call without new");
});

await about("TextDecoder", () => {
  const it = new TextDecoder();
  same([it.encoding, it.fatal, it.ignoreBOM], ["utf-8", false, false], "defaults");
  for (const [bytes, text] of [[[], ""], [[97], "a"], [[0xc3, 0xa9], "é"], [[0xff], "\ufffd"], [[0xc3], "\ufffd"], [[0xc3, 0x28], "\ufffd("], [[0xe2, 0x82], "\ufffd"], [[0xe2, 0x28, 0xa1], "\ufffd(\ufffd"], [[0xf0, 0x9f, 0x98], "\ufffd"], [[0xf0, 0x9f, 0x98, 0x80], "😀"], [[0xc0, 0x80], "\ufffd\ufffd"], [[0xed, 0xa0, 0x80], "\ufffd\ufffd\ufffd"], [[0xf5, 0x80, 0x80, 0x80], "\ufffd\ufffd\ufffd\ufffd"], [[0xf4, 0x90, 0x80, 0x80], "\ufffd\ufffd\ufffd\ufffd"], [[0xe0, 0x80, 0x80], "\ufffd\ufffd\ufffd"], [[0x80], "\ufffd"], [[0xef, 0xbb, 0xbf, 97], "a"], [[97, 0xef, 0xbb, 0xbf], "a\ufeff"], [[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], "\ufeff"], [[0xef, 0xbb], "\ufffd"]]) {
    same(decode(bytes), text, `decode ${bytes}`);
    const isValid = !text.includes("\ufffd");
    if (isValid) same(decode(bytes, "utf-8", { fatal: true }), text, `fatal ${bytes}`);
    else throws(TypeError, () => decode(bytes, "utf-8", { fatal: true }), `fatal ${bytes}`);
  }
  same(decode([0xef, 0xbb, 0xbf, 97], "utf-8", { ignoreBOM: true }), "\ufeffa", "a mark that is kept");
  same(it.decode(), "", "nothing");
  same(it.decode(undefined), "", "undefined");
  same(it.decode(new Uint8Array([97]).buffer), "a", "a buffer");
  same(it.decode(new DataView(new Uint8Array([97, 98]).buffer, 1)), "b", "a view");
  same(it.decode(new Uint16Array([0x6261])), "ab", "wider numbers");
  for (const bad of [null, 1, "a", {}, []]) throws(TypeError, () => it.decode(bad), `refuses ${show(bad)}`);
  throws(TypeError, () => TextDecoder(), "a call without new");
});

await about("labels", () => {
  for (const [label, name] of [["utf8", "utf-8"], ["UTF-8", "utf-8"], ["  unicode-1-1-utf-8\n", "utf-8"], ["\tutf-8\f\r", "utf-8"], ["x-unicode20utf8", "utf-8"], ["ascii", "windows-1252"], ["latin1", "windows-1252"], ["iso-8859-1", "windows-1252"], ["l1", "windows-1252"], ["windows-1252", "windows-1252"], ["iso-8859-2", "iso-8859-2"], ["iso-8859-8-i", "iso-8859-8-i"], ["logical", "iso-8859-8-i"], ["visual", "iso-8859-8"], ["koi8-r", "koi8-r"], ["koi", "koi8-r"], ["macintosh", "macintosh"], ["x-mac-roman", "macintosh"], ["cp866", "ibm866"], ["gbk", "gbk"], ["gb2312", "gbk"], ["gb18030", "gb18030"], ["big5", "big5"], ["big5-hkscs", "big5"], ["euc-jp", "euc-jp"], ["shift_jis", "shift_jis"], ["sjis", "shift_jis"], ["iso-2022-jp", "iso-2022-jp"], ["euc-kr", "euc-kr"], ["korean", "euc-kr"], ["utf-16", "utf-16le"], ["utf-16le", "utf-16le"], ["ucs-2", "utf-16le"], ["utf-16be", "utf-16be"], ["unicodefffe", "utf-16be"], ["x-user-defined", "x-user-defined"]]) same(new TextDecoder(label).encoding, name, show(label));
  for (const label of ["", "x", "utf-7", "utf-32", "utf\u00a0-8", "\u000butf-8", "replacement", "iso-2022-kr", "hz-gb-2312", null]) throws(RangeError, () => new TextDecoder(label), `refuses ${show(label)}`);
});

await about("other encodings", () => {
  for (const [label, bytes, text] of [["windows-1252", [0x80, 0xe9, 0x81], "€é\x81"], ["iso-8859-2", [0xb1], "ą"], ["koi8-r", [0xc1], "а"], ["utf-16le", [0x61, 0, 0x3d, 0xd8, 0, 0xde], "a😀"], ["utf-16be", [0, 0x61, 0xd8, 0x3d, 0xde, 0], "a😀"], ["utf-16le", [0xff, 0xfe, 0x61, 0], "a"], ["utf-16be", [0xfe, 0xff, 0, 0x61], "a"], ["utf-16le", [0x61], "\ufffd"], ["utf-16le", [0, 0xd8], "\ufffd"], ["utf-16le", [0, 0xdc, 0x61, 0], "\ufffda"], ["shift_jis", [0x82, 0xa0], "あ"], ["euc-jp", [0xa4, 0xa2], "あ"], ["euc-kr", [0xb0, 0xa1], "가"], ["gbk", [0xc4, 0xe3], "你"], ["gb18030", [0x81, 0x30, 0x81, 0x30], "\x80"], ["big5", [0xa7, 0x41], "你"], ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x24, 0x22], "あ"], ["x-user-defined", [0x80, 0xff], "\uf780\uf7ff"], ["windows-1251", [0xe0], "а"]]) same(decode(bytes, label), text, `${label} ${bytes}`);
  for (const [label, bytes] of [["utf-16le", [0, 0xd8]], ["utf-16le", [1]], ["shift_jis", [0x82]], ["gbk", [0xff]], ["big5", [0x81]], ["euc-kr", [0xff]]]) throws(TypeError, () => decode(bytes, label, { fatal: true }), `fatal ${label} ${bytes}`);
});

await about("pieces", () => {
  const text = "a\u00e9€😀\0z";
  for (const [label, bytes] of [["utf-8", new TextEncoder().encode(text)], ["utf-16le", new Uint8Array(Uint16Array.from(text, (_, i) => 0).length * 0 + text.length * 2).map((_, i) => (text.charCodeAt(i >> 1) >> (8 * (i & 1))) & 255)]]) {
    for (let size = 1; size <= 5; size++) {
      const it = new TextDecoder(label, { fatal: true });
      let result = "";
      for (let at = 0; at < bytes.length; at += size) result += it.decode(bytes.subarray(at, at + size), { stream: true });
      same(result + it.decode(), text, `${label} by ${size}`);
    }
  }
  const it = new TextDecoder();
  same(it.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), "", "a part is held back");
  same(it.decode(new Uint8Array([0x41]), { stream: true }), "\ufffdA", "and replaced when it cannot go on");
  same(it.decode(new Uint8Array([0xf0, 0x9f]), { stream: true }) + it.decode(), "\ufffd", "or at the end");
  same(it.decode(new Uint8Array([97])), "a", "then it begins anew");
  same(it.decode(new Uint8Array([0xef, 0xbb]), { stream: true }) + it.decode(new Uint8Array([0xbf, 97])), "a", "a mark in pieces");
  same(it.decode(new Uint8Array([0xef, 0xbb, 0xbf]), { stream: true }) + it.decode(new Uint8Array([0xef, 0xbb, 0xbf])), "\ufeff", "only one mark goes");
  const fatal = new TextDecoder("utf-8", { fatal: true });
  fatal.decode(new Uint8Array([0xe2]), { stream: true });
  throws(TypeError, () => fatal.decode(), "fatal at the end");
  same(fatal.decode(new Uint8Array([97])), "a", "and usable again");
});

await about("streams", async () => {
  const through = async (stream, pieces) => {
    const writer = stream.writable.getWriter();
    const writing = (async () => {
      for (const piece of pieces) await writer.write(piece);
      await writer.close();
    })();
    writing.catch(() => {});
    const found = [];
    for await (const piece of stream.readable) found.push(piece);
    await writing;
    return found;
  };
  const bytes = (...numbers) => new Uint8Array(numbers);
  same((await through(new TextDecoderStream(), [bytes(0xe2, 0x82), bytes(0xac), bytes(97)])).join("|"), "€|a", "decodes pieces");
  same((await through(new TextDecoderStream(), [bytes(0xe2)])).join(), "\ufffd", "replaces the rest");
  same(await through(new TextDecoderStream(), []), [], "nothing");
  same(await through(new TextDecoderStream(), [bytes()]), [], "no empty pieces");
  await rejects(TypeError, through(new TextDecoderStream("utf-8", { fatal: true }), [bytes(0xff)]), "fatal");
  await rejects(TypeError, through(new TextDecoderStream("utf-8", { fatal: true }), [bytes(0xe2)]), "fatal at the end");
  await rejects(TypeError, through(new TextDecoderStream(), ["text"]), "no bytes");
  same((await through(new TextDecoderStream("utf-16be"), [bytes(0), bytes(97)])).join(), "a", "another encoding");
  same((await through(new TextEncoderStream(), ["é", "a"])).map((it) => Array.from(it)), [[195, 169], [97]], "encodes");
  same((await through(new TextEncoderStream(), ["\ud83d", "\ude00"])).map((it) => Array.from(it)), [[240, 159, 152, 128]], "joins halves");
  same((await through(new TextEncoderStream(), ["\ud83d", "x"])).map((it) => Array.from(it)), [[239, 191, 189, 120]], "replaces half of one");
  same((await through(new TextEncoderStream(), ["\ud83d"])).map((it) => Array.from(it)), [[239, 191, 189]], "at the end as well");
  same((await through(new TextEncoderStream(), [1, null])).map((it) => Array.from(it)), [[49], [110, 117, 108, 108]], "makes texts");
  await rejects(TypeError, through(new TextEncoderStream(), [Symbol("s")]), "of what can be one");
  const decoder = new TextDecoderStream("latin1", { fatal: true, ignoreBOM: true });
  same([decoder.encoding, decoder.fatal, decoder.ignoreBOM, new TextEncoderStream().encoding], ["windows-1252", true, true, "utf-8"], "attributes");
  throws(RangeError, () => new TextDecoderStream("x"), "a wrong label");
});
