//! Which WebAssembly modules scripts get, and what is wrong with others.

use std::fs;
use std::path::Path;

use mcp_v8_protocol::limits::{WASM_MODULE_BYTES_MAX, WASM_MODULES_BYTES_MAX, WASM_MODULES_MAX};
use mcp_v8_protocol::modules::WASM_HEADER;

use super::*;

/// A module, and a list with it under another name.
pub(super) fn files() -> (tempfile::NamedTempFile, tempfile::NamedTempFile) {
    let mut module = tempfile::NamedTempFile::new().unwrap();
    module.write_all(&WASM_HEADER).unwrap();
    let list = file(&format!("{{\"listed\": {:?}}}", module.path()));
    (module, list)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn names(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let modules = config(arguments, variables).executions.wasm_modules;
    modules.into_iter().map(|module| module.name).collect()
}

#[test]
fn modules_come_from_flags_and_the_list_together() {
    let (module, list) = files();
    let path = module.path().display();
    let [a, b] = ["a", "b"].map(|name| format!("{name}={path}"));
    let list = format!("--wasm-config={}", list.path().display());
    let flags = ["--wasm-module", &a, "--wasm-module", &b, &list];
    assert_eq!(names(&flags, &[]), ["a", "b", "listed"]);
    let variable = format!("{a}, {b}");
    let variables = [("MCP_V8_WASM_MODULE", variable.as_str())];
    assert_eq!(names(&[], &variables), ["a", "b"]);
    // A flag takes the place of the variable, as with every setting.
    assert_eq!(names(&["--wasm-module", &b], &variables), ["b"]);
    let toml = file(&format!("wasm-module = [{a:?}, {b:?}]\n"));
    assert_eq!(
        names(&["--config", toml.path().to_str().unwrap()], &[]),
        ["a", "b"]
    );
    let summary = config(&flags, &[]).summary();
    assert!(
        summary.contains("WebAssembly modules a, b, listed"),
        "{summary}"
    );
}

#[test]
fn everything_that_is_wrong_with_modules_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let good = write(at, "good.wasm", &WASM_HEADER);
    let text = write(at, "text.wasm", b"(module)");
    let large = at.join("large.wasm");
    let file = fs::File::create(&large).unwrap();
    file.set_len(WASM_MODULE_BYTES_MAX as u64 + 1).unwrap();
    let list = write(
        at,
        "list.json",
        format!("{{\"a\": {good:?}, \"b\": {good:?}, \"b\": {good:?}}}").as_bytes(),
    );
    let modules = [
        format!("a={good}"),
        format!("let={text}"),
        format!("Math={good}"),
        format!("1x={good}"),
        format!("__wasm_a={good}"),
        format!("large={}", large.display()),
        format!("folder={}", at.display()),
        "gone=/nowhere/x.wasm".to_owned(),
        "=x".to_owned(),
        "x=".to_owned(),
        good.clone(),
    ];
    let mut arguments: Vec<&str> = modules
        .iter()
        .flat_map(|module| ["--wasm-module", module])
        .collect();
    arguments.extend([
        "--wasm-config",
        &list,
        "--engine-tier",
        "jitless",
        "--heap-memory-max",
        "65",
    ]);
    let text = faults(&arguments, &[]);
    for part in [
        format!(
            "--wasm-config: a={good}: --wasm-module gives a module of that name too; give each"
        ),
        format!("--wasm-config: b={good}: --wasm-config gives a module of that name too"),
        "let=".to_owned(),
        "it is a reserved word of JavaScript; use another name".to_owned(),
        "the file is not WebAssembly".to_owned(),
        "scripts have a global of that name already; use another name".to_owned(),
        "it is not a JavaScript identifier".to_owned(),
        "names that begin with __wasm_ are those of modules".to_owned(),
        "it is larger than 32 MB; use a smaller one".to_owned(),
        "it is not a file; give the path of one".to_owned(),
        "the file cannot be read (No such file".to_owned(),
        "--wasm-module: =x: it is not NAME=FILE".to_owned(),
        "--wasm-module: x=: it is not NAME=FILE".to_owned(),
        format!("--wasm-module: {good}: it is not NAME=FILE"),
        "--engine-tier and --wasm-module exclude each other".to_owned(),
        "--heap-memory-max: 65 is out of range".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_list_that_cannot_be_read_says_what_it_should_be() {
    let list = |text: &str| {
        let list = file(text);
        faults(&["--wasm-config", list.path().to_str().unwrap()], &[])
    };
    for text in [
        "",
        "[]",
        "{\"a\": 1}",
        "{\"a\": {\"path\": \"/x\"}}",
        "{\"a\": \"/x\"} x",
        "a=/x",
    ] {
        let faults = list(text);
        assert!(
            faults.contains("it is not JSON of the form {\"name\": \"/path.wasm\"}: "),
            "{faults}"
        );
    }
    assert!(list(&" ".repeat(2 << 20)).contains("it is larger than 1048576 bytes"));
    assert!(
        faults(&["--wasm-config=/nowhere"], &[])
            .contains("--wasm-config: /nowhere: it cannot be read")
    );
    let toml = file("wasm-module = 1\nwasm-config = [\"/x\"]\n");
    let text = faults(&["--config", toml.path().to_str().unwrap()], &[]);
    assert!(
        text.contains("1 is not NAME=FILE, or a list of such texts"),
        "{text}"
    );
    assert!(text.contains("is not a path in quotes"), "{text}");
}

#[test]
fn there_are_not_too_many_and_they_are_not_too_large_together() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.wasm", &WASM_HEADER);
    let many: Vec<String> = (0..=WASM_MODULES_MAX)
        .map(|i| format!("--wasm-module=m{i}={good}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(names(&many[1..], &[]).len(), WASM_MODULES_MAX);
    let text = faults(&many, &[]);
    assert!(
        text.contains(&format!(
            "there can be {WASM_MODULES_MAX} modules, and this is one more"
        )),
        "{text}"
    );
    let large = write(folder.path(), "large.wasm", &WASM_HEADER);
    let file = fs::File::options().write(true).open(&large).unwrap();
    file.set_len(WASM_MODULE_BYTES_MAX as u64).unwrap();
    let count = WASM_MODULES_BYTES_MAX / WASM_MODULE_BYTES_MAX;
    let large: Vec<String> = (0..=count)
        .map(|i| format!("--wasm-module=m{i}={large}"))
        .collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    assert_eq!(names(&large[1..], &[]).len(), count);
    let text = faults(&large, &[]);
    assert_eq!(
        text.matches("with those before it, it is larger than 64 MB")
            .count(),
        1,
        "{text}"
    );
}
