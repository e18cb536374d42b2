// The console. What values look like is Deno's inspector's business; this file knows the methods, the
// prefixes, the groups, and where the text goes.
//
// A line is: the level's prefix, then the indentation of open groups, then the text; prefix and
// indentation once for each call, not for each line of its text.
(function () {
const { core, primordials } = __bootstrap;
const {
  op_console_write,
  op_monotonic_ms,
} = core.ops;
const {
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ErrorCaptureStackTrace,
  MathMax,
  NumberIsInteger,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectKeys,
  ObjectHasOwn,
  ReflectOwnKeys,
  SafeMap,
  String,
  StringPrototypeIncludes,
  StringPrototypeRepeat,
  SymbolToStringTag,
  MapPrototypeGet,
  MapPrototypeSet,
  MapPrototypeDelete,
  MapPrototypeHas,
} = primordials;

const INFO = "[INFO] ";
const WARN = "[WARN] ";
const ERROR = "[ERROR] ";

let groups = 0;
const counts = new SafeMap();
const starts = new SafeMap();

const inspector = () => core.loadExtScript("ext:deno_web/01_console.js");

// Plain strings need no inspector, and most output is plain strings.
function format(args) {
  let plain = args.length <= 1 || !(typeof args[0] === "string" && StringPrototypeIncludes(args[0], "%"));
  for (let i = 0; plain && i < args.length; i++) plain = typeof args[i] === "string";
  return plain ? ArrayPrototypeJoin(args, " ") : inspector().inspectArgs(args, { __proto__: null, colors: false });
}

function print(prefix, text) {
  op_console_write(`${prefix}${StringPrototypeRepeat("  ", groups)}${text}\n`);
}

function label(value) {
  return value === undefined ? "default" : String(value);
}

function elapsed(name) {
  const start = MapPrototypeGet(starts, name);
  if (start === undefined) {
    print(WARN, `Timer '${name}' does not exist`);
    return undefined;
  }
  return `${name}: ${op_monotonic_ms() - start}ms`;
}

// ---- table ---------------------------------------------------------------------------------------

function cell(value) {
  return inspector().inspect(value, { __proto__: null, depth: 1, breakLength: Infinity, compact: true });
}

function rowsOf(data) {
  const rows = [];
  const previewed = core.ops.op_preview_entries(data);
  if (previewed === null) {
    const keys = ObjectKeys(data);
    for (let i = 0; i < keys.length; i++) {
      ArrayPrototypePush(rows, { index: keys[i], value: data[keys[i]], keyed: false });
    }
    return { rows, head: core.isTypedArray(data) ? "(iter idx)" : "(idx)" };
  }
  const entries = previewed[0];
  const keyed = previewed[1];
  const step = keyed ? 2 : 1;
  for (let i = 0; i < entries.length; i += step) {
    ArrayPrototypePush(rows, {
      index: String(i / step),
      key: entries[i],
      value: entries[i + step - 1],
      keyed,
    });
  }
  return { rows, head: "(iter idx)" };
}

// What has rows of its own; the rest stands in the column of values.
function isNested({ value, keyed }) {
  return !keyed && value !== null && (typeof value === "object" || typeof value === "function");
}

function columnsOf(rows) {
  // An object, since its keys come in the order of an object's: whole numbers first.
  const columns = { __proto__: null };
  for (let i = 0; i < rows.length; i++) {
    if (!isNested(rows[i])) continue;
    const keys = ObjectKeys(rows[i].value);
    for (let j = 0; j < keys.length; j++) columns[keys[j]] = true;
  }
  return ObjectKeys(columns);
}

function tableOf(data, wanted) {
  const { rows, head: first } = rowsOf(data);
  const columns = wanted === undefined ? columnsOf(rows) : ArrayPrototypeSlice(wanted);
  let keyed = false;
  let valued = false;
  for (let i = 0; i < rows.length; i++) {
    keyed ||= rows[i].keyed;
    valued ||= !isNested(rows[i]);
  }
  const head = [first];
  if (keyed) ArrayPrototypePush(head, "Key");
  for (let i = 0; i < columns.length; i++) ArrayPrototypePush(head, String(columns[i]));
  if (valued) ArrayPrototypePush(head, "Values");
  const lines = [];
  for (let i = 0; i < rows.length; i++) {
    const { index, key, value } = rows[i];
    const nested = isNested(rows[i]);
    const line = [index];
    if (keyed) ArrayPrototypePush(line, cell(key));
    for (let j = 0; j < columns.length; j++) {
      ArrayPrototypePush(line, nested && ObjectHasOwn(value, columns[j]) ? cell(value[columns[j]]) : "");
    }
    if (valued) ArrayPrototypePush(line, nested ? "" : cell(value));
    ArrayPrototypePush(lines, line);
  }
  return draw(head, lines);
}

function draw(head, lines) {
  const width = (text) => inspector().getStringWidth(text);
  const widths = [];
  const numeric = [];
  for (let i = 0; i < head.length; i++) {
    let widest = width(head[i]);
    let whole = true;
    for (let j = 0; j < lines.length; j++) {
      widest = MathMax(widest, width(lines[j][i]));
      whole &&= NumberIsInteger(+lines[j][i]);
    }
    ArrayPrototypePush(widths, widest + 2);
    ArrayPrototypePush(numeric, whole);
  }
  const rule = (left, middle, right) => {
    const parts = [];
    for (let i = 0; i < widths.length; i++) ArrayPrototypePush(parts, StringPrototypeRepeat("─", widths[i]));
    return `${left}${ArrayPrototypeJoin(parts, middle)}${right}`;
  };
  // Columns of whole numbers (and nothing) stand to the right, as in Deno.
  const row = (cells, right) => {
    const parts = [];
    for (let i = 0; i < cells.length; i++) {
      const space = StringPrototypeRepeat(" ", widths[i] - width(cells[i]) - 2);
      ArrayPrototypePush(parts, right[i] ? ` ${space}${cells[i]} ` : ` ${cells[i]}${space} `);
    }
    return `│${ArrayPrototypeJoin(parts, "│")}│`;
  };
  const out = [rule("┌", "┬", "┐"), row(head, []), rule("├", "┼", "┤")];
  for (let i = 0; i < lines.length; i++) ArrayPrototypePush(out, row(lines[i], numeric));
  ArrayPrototypePush(out, rule("└", "┴", "┘"));
  return ArrayPrototypeJoin(out, "\n");
}

// ---- methods -------------------------------------------------------------------------------------

const methods = {
  log: (...args) => print("", format(args)),
  debug: (...args) => print("", format(args)),
  info: (...args) => print(INFO, format(args)),
  warn: (...args) => print(WARN, format(args)),
  error: (...args) => print(ERROR, format(args)),
  dir: (value = undefined, options = undefined) =>
    print("", inspector().inspectArgs([value], { __proto__: null, ...options, colors: false })),
  dirxml: (...args) => print("", format(args)),
  assert: (condition = false, ...args) => {
    if (condition) return;
    if (args.length === 0) print(ERROR, "Assertion failed");
    else if (typeof args[0] === "string") {
      print(ERROR, format([`Assertion failed: ${args[0]}`, ...ArrayPrototypeSlice(args, 1)]));
    } else print(ERROR, format(["Assertion failed:", ...args]));
  },
  count: (name) => {
    name = label(name);
    const count = (MapPrototypeGet(counts, name) ?? 0) + 1;
    MapPrototypeSet(counts, name, count);
    print("", `${name}: ${count}`);
  },
  countReset: (name) => {
    name = label(name);
    if (MapPrototypeHas(counts, name)) MapPrototypeSet(counts, name, 0);
    else print(WARN, `Count for '${name}' does not exist`);
  },
  table: (data = undefined, columns = undefined) => {
    if (typeof data !== "object" || data === null) print("", format([data]));
    else print("", tableOf(data, columns));
  },
  time: (name) => {
    name = label(name);
    if (MapPrototypeHas(starts, name)) print(WARN, `Timer '${name}' already exists`);
    else MapPrototypeSet(starts, name, op_monotonic_ms());
  },
  timeLog: (name, ...args) => {
    const text = elapsed(label(name));
    if (text !== undefined) print("", args.length === 0 ? text : format([text, ...args]));
  },
  timeEnd: (name) => {
    name = label(name);
    const text = elapsed(name);
    if (text === undefined) return;
    MapPrototypeDelete(starts, name);
    print("", text);
  },
  group: (...args) => {
    if (args.length > 0) print("", format(args));
    groups++;
  },
  groupCollapsed: (...args) => methods.group(...args),
  groupEnd: () => {
    if (groups > 0) groups--;
  },
  trace: (...args) => {
    const trace = { name: "Trace", message: format(args) };
    ErrorCaptureStackTrace(trace, console.trace);
    print("", trace.stack);
  },
  clear: () => {
    groups = 0;
  },
  profile: () => {},
  profileEnd: () => {},
  timeStamp: () => {},
};

// The namespace object, as https://console.spec.whatwg.org/#console-namespace has it.
const console = ObjectCreate({});
const names = ReflectOwnKeys(methods);
for (let i = 0; i < names.length; i++) {
  ObjectDefineProperty(console, names[i], {
    __proto__: null,
    value: methods[names[i]],
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
ObjectDefineProperty(console, SymbolToStringTag, { __proto__: null, value: "console", configurable: true });

return { console };
})();
