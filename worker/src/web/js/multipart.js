// multipart/form-data: entries to parts and back. (RFC 7578, and what the HTML standard makes of it.)
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  Float64Array,
  MapPrototypeGet,
  NumberPrototypeToString,
  RegExpPrototypeExec,
  SafeRegExp,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeReplace,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeToLowerCase,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeIndexOf,
  TypedArrayPrototypeSubarray,
  TypeError,
} = primordials;
const { op_encoding_decode_utf8, op_random_numbers } = core.ops;

const { File, getParts, isBlob } = core.loadExtScript("ext:deno_web/09_file.js");

const CR = 13;
const LF = 10;
const DASH = 45;

const lineEnds = new SafeRegExp(/\r\n|\r|\n/g);
const quotes = new SafeRegExp(/"/g);
const returns = new SafeRegExp(/\r/g);
const feeds = new SafeRegExp(/\n/g);
const escapes = new SafeRegExp(/%(0A|0D|22)/gi);

// ---- writing -------------------------------------------------------------------------------------

function withLineEnds(text) {
  return StringPrototypeReplace(text, lineEnds, "\r\n");
}

function escaped(text) {
  text = StringPrototypeReplace(text, quotes, "%22");
  text = StringPrototypeReplace(text, returns, "%0D");
  return StringPrototypeReplace(text, feeds, "%0A");
}

// Random, so that no content is likely to hold it.
function newBoundary() {
  const numbers = new Float64Array(3);
  op_random_numbers(numbers);
  let boundary = "----formdata-";
  for (let i = 0; i < 3; i++) boundary += NumberPrototypeToString(numbers[i] * 2 ** 53, 36);
  return boundary;
}

// The pieces of a body, and its boundary. The bytes of blobs are not copied.
function encode(entries) {
  const boundary = newBoundary();
  const parts = [];
  for (let i = 0; i < entries.length; i++) {
    const { name, value } = entries[i];
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withLineEnds(name))}"`;
    if (isBlob(value)) {
      head += `; filename="${escaped(value.name)}"\r\nContent-Type: ` +
        `${value.type || "application/octet-stream"}\r\n\r\n`;
      ArrayPrototypePush(parts, core.encode(head));
      getParts(value, parts);
      ArrayPrototypePush(parts, core.encode("\r\n"));
    } else {
      ArrayPrototypePush(parts, core.encode(`${head}\r\n\r\n${withLineEnds(value)}\r\n`));
    }
  }
  ArrayPrototypePush(parts, core.encode(`--${boundary}--\r\n`));
  return { __proto__: null, boundary, parts };
}

// ---- reading -------------------------------------------------------------------------------------

function malformed() {
  return new TypeError("The body is not multipart/form-data");
}

function startsWith(bytes, at, what) {
  const length = TypedArrayPrototypeGetByteLength(what);
  if (at + length > TypedArrayPrototypeGetByteLength(bytes)) return false;
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== what[i]) return false;
  }
  return true;
}

// Where `what` begins, at or behind `from`; -1 if nowhere.
function find(bytes, what, from) {
  for (;;) {
    const at = TypedArrayPrototypeIndexOf(bytes, what[0], from);
    if (at === -1 || startsWith(bytes, at, what)) return at;
    from = at + 1;
  }
}

function text(bytes, from, to) {
  return op_encoding_decode_utf8(TypedArrayPrototypeSubarray(bytes, from, to), true);
}

function unescaped(text) {
  return StringPrototypeReplace(text, escapes, (_all, code) => {
    switch (code) {
      case "22":
        return '"';
      case "0A":
      case "0a":
        return "\n";
      default:
        return "\r";
    }
  });
}

const disposition = new SafeRegExp(/^form-data *(?:;|$)/i);
const nameOf = new SafeRegExp(/; *name="([^"]*)"/i);
const fileNameOf = new SafeRegExp(/; *filename="([^"]*)"/i);

// The headers of a part: the name, and of a file its name and type.
function headOf(head) {
  const lines = StringPrototypeSplit(head, "\r\n");
  let name = null;
  let fileName = null;
  let type = null;
  for (let i = 0; i < lines.length; i++) {
    const colon = StringPrototypeIndexOf(lines[i], ":");
    if (colon === -1) throw malformed();
    const key = StringPrototypeToLowerCase(StringPrototypeSlice(lines[i], 0, colon));
    const value = trimmed(StringPrototypeSlice(lines[i], colon + 1));
    if (key === "content-disposition") {
      if (RegExpPrototypeExec(disposition, value) === null) throw malformed();
      name = RegExpPrototypeExec(nameOf, value)?.[1] ?? null;
      fileName = RegExpPrototypeExec(fileNameOf, value)?.[1] ?? null;
    } else if (key === "content-type") {
      type = value;
    }
  }
  if (name === null) throw malformed();
  return {
    __proto__: null,
    name: unescaped(name),
    fileName: fileName === null ? null : unescaped(fileName),
    type,
  };
}

function isBlank(text, index) {
  const code = StringPrototypeCharCodeAt(text, index);
  return code === 32 || code === 9;
}

function trimmed(text) {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text, start)) start++;
  while (end > start && isBlank(text, end - 1)) end--;
  return StringPrototypeSlice(text, start, end);
}

const blankLine = new primordials.Uint8Array([CR, LF, CR, LF]);

// The entries of a body with this type, a parsed one.
function decode(bytes, mimeType) {
  const boundary = MapPrototypeGet(mimeType.parameters, "boundary");
  if (boundary === undefined) throw malformed();
  const delimiter = core.encode(`\r\n--${boundary}`);
  const first = TypedArrayPrototypeSubarray(delimiter, 2);
  const length = TypedArrayPrototypeGetByteLength(first);
  const entries = [];
  let at = find(bytes, first, 0);
  // What is in front of the first part is nobody's, if it ends with a line.
  if (at === -1 || (at > 0 && bytes[at - 1] !== LF)) throw malformed();
  at += length;
  for (;;) {
    if (bytes[at] === DASH && bytes[at + 1] === DASH) return entries;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) throw malformed();
    const start = at + 2;
    const blank = find(bytes, blankLine, start);
    if (blank === -1) throw malformed();
    const { name, fileName, type } = headOf(text(bytes, start, blank));
    const end = find(bytes, delimiter, blank + 2);
    if (end === -1) throw malformed();
    const begin = blank + 4 > end ? end : blank + 4;
    const value = fileName === null
      ? text(bytes, begin, end)
      : new File([TypedArrayPrototypeSubarray(bytes, begin, end)], fileName, {
        __proto__: null,
        type: type ?? "text/plain",
      });
    ArrayPrototypePush(entries, { __proto__: null, name, value });
    at = end + 2 + length;
  }
}

return { decode, encode };
})();
