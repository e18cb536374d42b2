// SQLite, for scripts of a server that has preloaded its module as `sqlite`:
//
//   mcp-v8 --wasm-module sqlite=examples/sqlite-wasm/sqlite3.wasm
//
// Databases are in memory. `bytes()` gives one as bytes, and `new SQLite(bytes)` opens it again.
// A script is this text and what it does with it. On a heap it is needed once.

class SQLite {
  #sqlite; // what the module exports
  #memory;
  #database; // the address of the connection

  constructor(bytes) {
    this.#memory = new WebAssembly.Memory({ initial: 128, maximum: 1024 });
    const instance = new WebAssembly.Instance(__wasm_sqlite, SQLite.#imports(this.#memory));
    this.#sqlite = instance.exports;
    this.#sqlite.__wasm_call_ctors();
    this.#database = this.#withText(":memory:", (name) =>
      this.#withSlot((slot) => {
        const code = this.#sqlite.sqlite3_open(name, slot);
        const database = this.#pointer(slot);
        if (code !== 0) throw new Error(`SQLite cannot open a database: ${code}`);
        return database;
      }));
    if (bytes !== undefined) this.#load(bytes);
  }

  /** Runs one or several statements that give nothing back. */
  exec(sql) {
    this.#withText(sql, (text) => {
      this.#check(this.#sqlite.sqlite3_exec(this.#database, text, 0, 0, 0));
    });
  }

  /** Runs one statement; says how many rows it changed, and the id of the last new one. */
  run(sql, parameters = []) {
    this.query(sql, parameters);
    return {
      changes: this.#sqlite.sqlite3_changes(this.#database),
      lastInsertRowid: SQLite.#number(this.#sqlite.sqlite3_last_insert_rowid(this.#database)),
    };
  }

  /** Runs one statement; its rows, as objects. */
  query(sql, parameters = []) {
    const statement = this.#withText(sql, (text) =>
      this.#withSlot((slot) => {
        this.#check(this.#sqlite.sqlite3_prepare_v2(this.#database, text, -1, slot, 0));
        return this.#pointer(slot);
      }));
    if (statement === 0) return { columns: [], rows: [] };
    try {
      parameters.forEach((value, index) => this.#bind(statement, index + 1, value));
      return this.#rows(statement);
    } finally {
      this.#sqlite.sqlite3_finalize(statement);
    }
  }

  /** The whole database, as a file would hold it. */
  bytes() {
    return this.#withText("main", (name) =>
      this.#withSlot((slot) => {
        const start = this.#sqlite.sqlite3_serialize(this.#database, name, slot, 0);
        if (start === 0) throw new Error("SQLite has no memory for a copy of the database");
        const length = SQLite.#number(new DataView(this.#memory.buffer).getBigInt64(slot, true));
        const copy = this.#bytesAt(start, length).slice();
        this.#sqlite.sqlite3_free(start);
        return copy;
      }));
  }

  /** Closes the database; what is in it is gone. */
  close() {
    this.#check(this.#sqlite.sqlite3_close_v2(this.#database));
    this.#database = 0;
  }

  #load(bytes) {
    const length = BigInt(bytes.length);
    const start = this.#allocate(bytes.length, (size) => this.#sqlite.sqlite3_malloc64(BigInt(size)));
    this.#bytesAt(start, bytes.length).set(bytes);
    const [FREE_ON_CLOSE, RESIZABLE] = [1, 2];
    this.#withText("main", (name) => {
      const { sqlite3_deserialize } = this.#sqlite;
      const flags = FREE_ON_CLOSE | RESIZABLE;
      this.#check(sqlite3_deserialize(this.#database, name, start, length, length, flags));
    });
  }

  #bind(statement, index, value) {
    const sqlite = this.#sqlite;
    const TRANSIENT = -1; // SQLite is to copy it
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    let code;
    if (value === null || value === undefined) {
      code = sqlite.sqlite3_bind_null(statement, index);
    } else if (typeof value === "bigint" || typeof value === "boolean" || Number.isSafeInteger(value)) {
      code = sqlite.sqlite3_bind_int64(statement, index, BigInt(value));
    } else if (typeof value === "number") {
      code = sqlite.sqlite3_bind_double(statement, index, value);
    } else if (bytes instanceof Uint8Array) {
      const bind = typeof value === "string" ? sqlite.sqlite3_bind_text : sqlite.sqlite3_bind_blob;
      code = this.#withBytes(bytes, (start) => bind(statement, index, start, bytes.length, TRANSIENT));
    } else {
      throw new TypeError(`SQLite cannot store ${typeof value} (parameter ${index})`);
    }
    this.#check(code);
  }

  #rows(statement) {
    const sqlite = this.#sqlite;
    const [ROW, DONE] = [100, 101];
    const count = sqlite.sqlite3_column_count(statement);
    const columns = Array.from({ length: count }, (_, i) => this.#textAt(sqlite.sqlite3_column_name(statement, i)));
    const rows = [];
    for (;;) {
      const code = sqlite.sqlite3_step(statement);
      if (code === DONE) return { columns, rows };
      if (code !== ROW) this.#check(code);
      rows.push(Object.fromEntries(columns.map((name, i) => [name, this.#column(statement, i)])));
    }
  }

  #column(statement, index) {
    const sqlite = this.#sqlite;
    const [INTEGER, FLOAT, TEXT, BLOB] = [1, 2, 3, 4];
    const bytes = (start) => this.#bytesAt(start, sqlite.sqlite3_column_bytes(statement, index)).slice();
    switch (sqlite.sqlite3_column_type(statement, index)) {
      case INTEGER:
        return SQLite.#number(sqlite.sqlite3_column_int64(statement, index));
      case FLOAT:
        return sqlite.sqlite3_column_double(statement, index);
      case TEXT:
        return new TextDecoder().decode(bytes(sqlite.sqlite3_column_text(statement, index)));
      case BLOB:
        return bytes(sqlite.sqlite3_column_blob(statement, index));
      default:
        return null;
    }
  }

  #check(code) {
    if (code === 0) return;
    throw new Error(`SQLite: ${this.#textAt(this.#sqlite.sqlite3_errmsg(this.#database))} (${code})`);
  }

  // A number where that is exact, a BigInt beyond.
  static #number(integer) {
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : integer;
  }

  // ---- the module's memory ----------------------------------------------------------------------
  // Its buffer changes whenever it grows: nobody keeps a view of it over a call.

  #bytesAt(start, length) {
    return new Uint8Array(this.#memory.buffer, start, length);
  }

  #textAt(start) {
    const bytes = new Uint8Array(this.#memory.buffer, start);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  #pointer(slot) {
    return new DataView(this.#memory.buffer).getUint32(slot, true);
  }

  #allocate(length, allocate = this.#sqlite.malloc) {
    const start = allocate(Math.max(length, 1));
    if (start === 0) throw new RangeError("SQLite has used up its memory");
    return start;
  }

  #withBytes(bytes, use) {
    const start = this.#allocate(bytes.length);
    try {
      this.#bytesAt(start, bytes.length).set(bytes);
      return use(start);
    } finally {
      this.#sqlite.free(start);
    }
  }

  #withText(text, use) {
    return this.#withBytes(new TextEncoder().encode(`${text}\0`), use);
  }

  // Room for one result that SQLite writes.
  #withSlot(use) {
    return this.#withBytes(new Uint8Array(8), use);
  }

  // What the module asks of a system. There is none: no files, and time in UTC.
  static #imports(memory) {
    const [NO_ENTRY, NOT_SUPPORTED, BAD_FILE] = [44, 52, 8];
    const view = () => new DataView(memory.buffer);
    const own = {
      env: {
        memory,
        emscripten_date_now: () => Date.now(),
        emscripten_get_now: () => performance.now(),
        emscripten_get_heap_max: () => 1024 * 65536,
        emscripten_resize_heap(bytes) {
          try {
            memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / 65536));
            return 1;
          } catch {
            return 0;
          }
        },
        _localtime_js(seconds, start) {
          const date = new Date(Number(seconds) * 1000);
          const year = date.getUTCFullYear();
          const day = Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / 86_400_000);
          [
            date.getUTCSeconds(), date.getUTCMinutes(), date.getUTCHours(), date.getUTCDate(), date.getUTCMonth(),
            year - 1900, date.getUTCDay(), day, 0, 0,
          ].forEach((field, index) => view().setInt32(start + 4 * index, field, true));
        },
        _tzset_js(zone, daylight, standardName, daylightName) {
          for (const start of [zone, daylight, standardName, daylightName]) view().setInt32(start, 0, true);
        },
        _mmap_js: () => -NOT_SUPPORTED,
        _munmap_js: () => -NOT_SUPPORTED,
      },
      wasi_snapshot_preview1: {
        clock_time_get(_clock, _precision, start) {
          view().setBigUint64(start, BigInt(Date.now()) * 1_000_000n, true);
          return 0;
        },
        environ_get: () => 0,
        environ_sizes_get(count, bytes) {
          view().setUint32(count, 0, true);
          view().setUint32(bytes, 0, true);
          return 0;
        },
      },
    };
    // All else is about files.
    for (const { module, name, kind } of WebAssembly.Module.imports(__wasm_sqlite)) {
      if (kind === "function") own[module][name] ??= module === "env" ? () => -NO_ENTRY : () => BAD_FILE;
    }
    return own;
  }
}
