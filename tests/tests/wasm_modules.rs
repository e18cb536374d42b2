//! WebAssembly modules that the operator has preloaded, over the real server and the real worker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::home::Home;
use e2e::server::{PATIENCE, Server};
use mcp_v8_protocol::mode::Mode;
use serde_json::{Value, json};

/// Where `examples/sqlite-wasm/get-module` puts SQLite.
const SQLITE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/sqlite-wasm/sqlite3.wasm"
);

const ADD: &str = r#"(module (func (export "add") (param i32 i32) (result i32)
    local.get 0 local.get 1 i32.add))"#;

/// Counts in its memory.
const COUNTER: &str = r#"(module (memory (export "memory") 1) (func (export "next") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.load (i32.const 0))))"#;

const CALLS: &str = r#"(module (import "host" "f" (func $f (param i32) (result i32)))
    (func (export "twice") (param i32) (result i32) local.get 0 call $f call $f))"#;

/// 1 GiB before anything is done.
const HUGE: &str = r#"(module (memory (export "memory") 16384))"#;

/// Writes modules; the arguments that preload them.
fn preload(home: &Home, modules: &[(&str, &str)]) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, text) in modules {
        let path = home.path(&format!("{name}.wasm"));
        fs::write(&path, wat::parse_str(text).expect("a module")).expect("a file in our own");
        arguments.extend([
            "--wasm-module".to_owned(),
            format!("{name}={}", path.display()),
        ]);
    }
    arguments
}

/// Whether heaps are kept.
const MODES: [Mode; 2] = Mode::ALL;

fn command(home: &Home, mode: Mode) -> Command {
    match mode {
        Mode::Stateless => home.stateless_server("mcp-v8-worker"),
        Mode::Stateful => home.server("mcp-v8-worker"),
    }
}

fn start(home: &Home, mode: Mode, arguments: &[String]) -> Server {
    let mut command = command(home, mode);
    command.args(arguments);
    let mut server = Server::spawn(command);
    server.initialize();
    server
}

fn completed(server: &mut Server, code: &str, arguments: Value) -> Value {
    let seen = server.run_with(code, arguments);
    assert_eq!(seen["status"], "completed", "{code}: {seen}");
    seen
}

/// What a server that does not start says.
fn refusal(home: &Home, arguments: &[&str]) -> String {
    let mut command = command(home, Mode::Stateless);
    command.args(arguments);
    let mut server = Server::spawn(command);
    let status = server.wait_exit(PATIENCE);
    assert!(!status.success(), "it has started");
    server.log()
}

#[test]
fn scripts_find_modules_in_both_modes_and_however_workers_are_started() {
    for mode in MODES {
        for way in ["zygote", "exec"] {
            let home = Home::new();
            let mut modules = preload(
                &home,
                &[("math", ADD), ("calls", CALLS), ("counter", COUNTER)],
            );
            modules.extend(["--worker-start".to_owned(), way.to_owned()]);
            let mut server = start(&home, mode, &modules);
            let code = "
                const { twice } = new WebAssembly.Instance(__wasm_calls, { host: { f: (x) => math.add(x, 20) } }).exports;
                [twice(2), typeof calls, __wasm_math instanceof WebAssembly.Module, counter.next(), counter.next()].join()";
            let seen = completed(&mut server, code, json!({}));
            assert_eq!(seen["result"], "42,undefined,true,1,2", "{mode:?} {way}");
            // Nobody sees what another execution did with a module.
            assert_eq!(
                completed(&mut server, "counter.next()", json!({}))["result"],
                "1"
            );
            // Scripts can have the names for themselves.
            assert_eq!(
                completed(&mut server, "let math = 3; math", json!({}))["result"],
                "3"
            );
            server.finish();
            home.assert_empty();
        }
    }
}

#[test]
fn a_heap_keeps_what_a_script_made_of_a_module_and_gets_the_module_anew() {
    let home = Home::new();
    let modules = preload(&home, &[("counter", COUNTER)]);
    let mut server = start(&home, Mode::Stateful, &modules);
    // Untouched ones leave no trace.
    let heap = |server: &mut Server| completed(server, "let n = 1; n", json!({}))["heap"].clone();
    assert_eq!(heap(&mut server), heap(&mut server));
    let first = completed(
        &mut server,
        "const mine = __wasm_counter; const { next } = counter; counter.next(); next()",
        json!({}),
    );
    assert_eq!(first["result"], "2");
    assert_eq!(first["heap_error"], Value::Null, "{first}");
    let on = |server: &mut Server, code: &str| {
        completed(server, code, json!({"heap": first["heap"]}))["result"].clone()
    };
    // A new instance; the module that the script has kept; a function of an instance that is gone.
    assert_eq!(on(&mut server, "counter.next()"), "1");
    assert_eq!(
        on(&mut server, "new WebAssembly.Instance(mine).exports.next()"),
        "1"
    );
    let stale = "try { next() } catch (error) { error.message.split('.')[0] }";
    assert_eq!(
        on(&mut server, stale),
        "This function of WebAssembly belongs to an execution that has ended"
    );
    server.finish();
    // A server without the module loads the heap; a module that is missing says so when it is used.
    let mut server = start(&home, Mode::Stateful, &[]);
    assert_eq!(on(&mut server, "typeof counter"), "undefined");
    let gone = "try { new WebAssembly.Instance(mine) } catch (error) { error.message }";
    let text = on(&mut server, gone);
    assert!(
        text.as_str().is_some_and(|text| text.contains("counter")),
        "{text}"
    );
    server.finish();
    home.assert_empty();
}

#[test]
fn a_module_that_wants_too_much_memory_fails_only_the_execution_that_uses_it() {
    for mode in MODES {
        let home = Home::new();
        let modules = preload(&home, &[("huge", HUGE), ("math", ADD)]);
        let mut server = start(&home, mode, &modules);
        let seen = server.run("huge.memory.buffer.byteLength");
        assert_eq!(seen["status"], "failed", "{seen}");
        let error = seen["error"].as_str().unwrap_or_default();
        assert!(error.contains("memory"), "{error}");
        assert_eq!(
            completed(&mut server, "math.add(1, 2)", json!({}))["result"],
            "3"
        );
        server.finish();
        home.assert_empty();
    }
}

#[test]
fn all_faults_of_modules_are_told_at_once_and_say_what_to_do() {
    let home = Home::new();
    let modules = preload(&home, &[("math", ADD)]);
    let math = modules[1].clone();
    let text = home.path("text.wasm");
    fs::write(&text, "(module)").expect("a file in our own");
    let list = home.path("modules.json");
    let entries = format!(r#"{{"math": {:?}, "Math": {0:?}}}"#, home.path("math.wasm"));
    fs::write(&list, entries).expect("a file in our own");
    let log = refusal(
        &home,
        &[
            "--wasm-module",
            &math,
            "--wasm-module",
            &format!("text={}", text.display()),
            "--wasm-module",
            "gone=/nowhere/gone.wasm",
            "--wasm-config",
            &list.display().to_string(),
        ],
    );
    for what in [
        "gives a module of that name too",
        "scripts have a global of that name already",
        "not WebAssembly",
        "No such file",
    ] {
        assert!(log.contains(what), "{what}: {log}");
    }
    // What only V8 knows is told for all modules together, too.
    let broken = |name: &str| {
        let path = home.path(name);
        fs::write(&path, b"\0asm\x01\0\0\0\x01\x7f").expect("a file in our own");
        path.display().to_string()
    };
    let (one, two) = (broken("one.wasm"), broken("two.wasm"));
    let log = refusal(
        &home,
        &[
            "--wasm-module",
            &format!("one={one}"),
            "--wasm-module",
            &format!("two={two}"),
        ],
    );
    for path in [one, two] {
        assert!(log.contains(&format!("({path}): V8 refuses it (")), "{log}");
    }
}

/// The names that a module cannot have are those that scripts have.
#[test]
fn no_module_can_take_a_global_from_scripts() {
    for mode in MODES {
        let home = Home::new();
        let mut server = start(&home, mode, &[]);
        let code = "
            const names = new Set();
            for (let object = globalThis; object !== null; object = Object.getPrototypeOf(object)) {
              for (const name of Object.getOwnPropertyNames(object)) names.add(name);
            }
            for (const own of ['names', 'object', 'name']) names.delete(own);
            [...names].join()";
        let seen = completed(&mut server, code, json!({}));
        let names = seen["result"].as_str().unwrap_or_default();
        assert!(names.contains("WebAssembly"), "{names}");
        for name in names.split(',') {
            let checked = mcp_v8_protocol::modules::check_name(name);
            assert!(checked.is_err(), "a module could be called {name}");
        }
        server.finish();
        home.assert_empty();
    }
}

fn example(name: &str) -> String {
    let path = Path::new(SQLITE).with_file_name(name);
    fs::read_to_string(path).expect("a file of the example")
}

fn sqlite() -> Vec<String> {
    let module = PathBuf::from(SQLITE);
    assert!(
        module.is_file(),
        "there is no {}; examples/sqlite-wasm/get-module fetches it (scripts/test does so)",
        module.display()
    );
    vec![
        "--wasm-module".to_owned(),
        format!("sqlite={}", module.display()),
    ]
}

#[test]
fn the_example_creates_inserts_queries_and_gives_json() {
    for mode in MODES {
        for way in ["zygote", "exec"] {
            let home = Home::new();
            let mut arguments = sqlite();
            arguments.extend(["--worker-start".to_owned(), way.to_owned()]);
            let mut server = start(&home, mode, &arguments);
            let code = example("sqlite.js") + &example("example.js");
            let seen = completed(&mut server, &code, json!({}));
            assert_eq!(seen["heap_error"], Value::Null, "{seen}");
            let rows: Value = serde_json::from_str(seen["result"].as_str().unwrap_or_default())
                .expect("the result is JSON");
            let expected = json!([
                {"id": 1, "name": "Alice", "age": 30},
                {"id": 3, "name": "Zoë", "age": 41},
            ]);
            assert_eq!(rows, expected, "{mode:?} {way}");
            server.finish();
            home.assert_empty();
        }
    }
}

#[test]
fn a_database_goes_from_heap_to_heap_as_bytes() {
    let home = Home::new();
    let mut server = start(&home, Mode::Stateful, &sqlite());
    let code = example("sqlite.js")
        + "let db = new SQLite(); db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1.5), (NULL)');
           let saved = db.bytes(); saved.length";
    let first = completed(&mut server, &code, json!({}));
    assert_eq!(first["heap_error"], Value::Null, "{first}");
    let code =
        "db = new SQLite(saved); db.run('INSERT INTO t VALUES (?)', ['x']); saved = db.bytes();
                JSON.stringify(db.query('SELECT x FROM t').rows)";
    let second = completed(&mut server, code, json!({"heap": first["heap"]}));
    assert_eq!(second["result"], r#"[{"x":1.5},{"x":null},{"x":"x"}]"#);
    server.finish();
    home.assert_empty();
}
