// Counts assertions. A topic says `await about("what", async () => { ... })` around some of them; each
// has a name of its own within it. The last words of a topic are added: `report()`.
let holds = 0;
const fails = Object.create(null);
let subject = "";

function note(isHeld, what, why) {
  if (isHeld) {
    holds++;
    return;
  }
  let name = `${subject}: ${what}`;
  while (name in fails) name += "'";
  fails[name] = why();
}

function show(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (Object.is(value, -0)) return "-0";
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return `${value.constructor.name}[${Array.from(value, String)}]`;
  }
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${show(new Uint8Array(value))}`;
  if (Array.isArray(value)) return `[${value.map(show).join()}]`;
  if (value instanceof Error) return `${value.name}(${value.message})`;
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return `{${Object.keys(value).map((key) => `${key}:${show(value[key])}`).join()}}`;
  }
  return String(value);
}

function isSame(a, b) {
  if (Object.is(a, b)) return true;
  const isList = (value) => Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof ArrayBuffer ||
    (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype);
  return isList(a) && isList(b) && show(a) === show(b);
}

// The first assertions: two values are the same (lists by what is in them), or a condition holds.
function same(actual, expected, what) {
  note(isSame(actual, expected), what, () => `${show(actual)} and not ${show(expected)}`);
}

const yes = (condition, what) => note(condition === true, what, () => "does not hold");

// `kind` is a class of errors, the name of a DOMException, or a value that is thrown itself.
function isKind(error, kind) {
  if (error instanceof DOMException) return error === kind || error.name === kind;
  if (typeof kind === "function") return Object.getPrototypeOf(error) === kind.prototype;
  return error === kind;
}

function throws(kind, run, what) {
  try {
    const value = run();
    note(false, what, () => `gave ${show(value)}`);
  } catch (error) {
    note(isKind(error, kind), what, () => `threw ${show(error)}`);
  }
}

async function rejects(kind, promise, what) {
  try {
    const value = await (typeof promise === "function" ? promise() : promise);
    note(false, what, () => `gave ${show(value)}`);
  } catch (error) {
    note(isKind(error, kind), what, () => `rejected with ${show(error)}`);
  }
}

async function about(what, run) {
  subject = what;
  try {
    await run();
  } catch (error) {
    note(false, "goes through", () => `${show(error)} ${error?.stack ?? ""}`);
  }
}

const tick = (times = 1) => new Promise((go) => {
  const step = () => times-- > 0 ? setTimeout(step, 0) : go();
  step();
});

function report() {
  return JSON.stringify({ holds, fails });
}
