// FormData: names with texts and files. There are no forms to make one from.
(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  ArrayPrototypeSplice,
  ObjectPrototypeIsPrototypeOf,
  Symbol,
  SymbolFor,
  TypeError,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { File, FilePrototype, isBlob } = core.loadExtScript("ext:deno_web/09_file.js");

const making = Symbol("making");
const entries = Symbol("entries");

// `filename` is undefined where none was given.
function entryOf(name, value, filename) {
  if (isBlob(value)) {
    const isFile = ObjectPrototypeIsPrototypeOf(FilePrototype, value);
    if (!isFile || filename !== undefined) {
      value = new File([value], filename ?? "blob", {
        __proto__: null,
        type: value.type,
        lastModified: isFile ? value.lastModified : undefined,
      });
    }
  }
  return { __proto__: null, name, value };
}

// The arguments of append and set: name and text, or name, blob and the name of a file.
function entryFrom(given, name, value, filename, prefix) {
  webidl.requiredArguments(given.length, 2, prefix);
  name = webidl.converters.USVString(name, prefix, "Argument 1");
  if (given.length >= 3 || isBlob(value)) {
    value = webidl.converters.Blob(value, prefix, "Argument 2");
    if (filename !== undefined) {
      filename = webidl.converters.USVString(filename, prefix, "Argument 3");
    }
  } else {
    value = webidl.converters.USVString(value, prefix, "Argument 2");
  }
  return entryOf(name, value, filename);
}

function nameFrom(given, name, prefix) {
  webidl.requiredArguments(given.length, 1, prefix);
  return webidl.converters.USVString(name, prefix, "Argument 1");
}

let entriesOf;

class FormData {
  #entries = [];

  constructor(form = undefined, made = undefined) {
    this[webidl.brand] = webidl.brand;
    if (form === making) {
      this.#entries = made;
    } else if (form !== undefined) {
      throw new TypeError("Failed to construct 'FormData': there are no forms here");
    }
  }

  static {
    entriesOf = (data) => data.#entries;
  }

  append(name, value, filename = undefined) {
    webidl.assertBranded(this, FormDataPrototype);
    const prefix = "Failed to execute 'append' on 'FormData'";
    ArrayPrototypePush(this.#entries, entryFrom(arguments, name, value, filename, prefix));
  }

  delete(name) {
    webidl.assertBranded(this, FormDataPrototype);
    name = nameFrom(arguments, name, "Failed to execute 'delete' on 'FormData'");
    const list = this.#entries;
    for (let i = list.length - 1; i >= 0; i--) {
      if (list[i].name === name) ArrayPrototypeSplice(list, i, 1);
    }
  }

  get(name) {
    webidl.assertBranded(this, FormDataPrototype);
    name = nameFrom(arguments, name, "Failed to execute 'get' on 'FormData'");
    const list = this.#entries;
    for (let i = 0; i < list.length; i++) {
      if (list[i].name === name) return list[i].value;
    }
    return null;
  }

  getAll(name) {
    webidl.assertBranded(this, FormDataPrototype);
    name = nameFrom(arguments, name, "Failed to execute 'getAll' on 'FormData'");
    const list = this.#entries;
    const found = [];
    for (let i = 0; i < list.length; i++) {
      if (list[i].name === name) ArrayPrototypePush(found, list[i].value);
    }
    return found;
  }

  has(name) {
    webidl.assertBranded(this, FormDataPrototype);
    name = nameFrom(arguments, name, "Failed to execute 'has' on 'FormData'");
    const list = this.#entries;
    for (let i = 0; i < list.length; i++) {
      if (list[i].name === name) return true;
    }
    return false;
  }

  set(name, value, filename = undefined) {
    webidl.assertBranded(this, FormDataPrototype);
    const prefix = "Failed to execute 'set' on 'FormData'";
    const entry = entryFrom(arguments, name, value, filename, prefix);
    const list = this.#entries;
    let isSet = false;
    for (let i = 0; i < list.length; i++) {
      if (list[i].name !== entry.name) continue;
      if (isSet) {
        ArrayPrototypeSplice(list, i--, 1);
      } else {
        list[i] = entry;
        isSet = true;
      }
    }
    if (!isSet) ArrayPrototypePush(list, entry);
  }

  // For iteration, which looks at each step again.
  get [entries]() {
    return this.#entries;
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    if (!(#entries in this)) return inspect({}, inspectOptions);
    const shown = [];
    for (let i = 0; i < this.#entries.length; i++) {
      const { name, value } = this.#entries[i];
      ArrayPrototypePush(shown, { name, value });
    }
    return `FormData ${inspect(shown, inspectOptions)}`;
  }
}

webidl.mixinPairIterable("FormData", FormData, entries, "name", "value");
webidl.configureInterface(FormData);
const FormDataPrototype = FormData.prototype;

return {
  entriesOf: (data) => entriesOf(data),
  FormData,
  isFormData: (value) => ObjectPrototypeIsPrototypeOf(FormDataPrototype, value),
  makeFormData: (list) => new FormData(making, list),
};
})();
