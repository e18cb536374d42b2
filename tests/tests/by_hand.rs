//! `mcp-v8-worker run`: one script by hand, without a supervisor.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::home::program;

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program("mcp-v8-worker"))
        .arg("run")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A worker that does not want all of it closes the pipe.
    let _all_or_some = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().expect("it ends by itself"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn console_and_value_go_to_standard_output() {
    let output = run(
        &["-"],
        b"console.log('a', [1]); console.warn('b'); ({ c: 1 })",
    );
    let expected = "a [ 1 ]\n[WARN] b\n{ c: 1 }\n";
    assert_eq!(texts(&output), (0, expected.to_owned(), String::new()));
    let output = run(&["-"], b"undefined");
    assert_eq!(texts(&output), (0, String::new(), String::new()));
}

#[test]
fn a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.ts");
    std::fs::write(&file, "const n: number = 41; n + 1").unwrap();
    let output = run(&[file.to_str().unwrap()], b"");
    assert_eq!(texts(&output), (0, "42\n".to_owned(), String::new()));
}

#[test]
fn a_script_that_fails_says_where() {
    let (code, out, error) = texts(&run(&["-"], b"console.log(1);\nthrow new TypeError('x')"));
    assert_eq!((code, out.as_str()), (1, "1\n"));
    assert_eq!(error, "TypeError: x\n    at <anonymous>:2:7\n");
}

#[test]
fn limits_have_exit_codes_of_their_own() {
    let (code, _, error) = texts(&run(&["--timeout", "1", "-"], b"for (;;);"));
    assert_eq!(code, 124);
    assert!(error.contains("--timeout"), "{error}");
    let endless = b"const a = []; for (;;) a.push({})";
    let (code, _, error) = texts(&run(&["--heap-memory-max", "4", "-"], endless));
    assert_eq!(code, 86);
    assert!(
        error.contains("heap of 4 MB") && error.contains("--heap-memory-max"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_run_is_refused() {
    let missing = Path::new("/nowhere/script.js");
    let too_large = vec![b' '; (1 << 20) + 1];
    for (arguments, input, what) in [
        (
            &[missing.to_str().unwrap()][..],
            &b""[..],
            "cannot read /nowhere/script.js",
        ),
        (&["-"], &[0xff, 0xfe], "not UTF-8"),
        (&["-"], &too_large, "larger than 1048576 bytes"),
        (&["--timeout", "0", "-"], b"", "1..=300"),
        (&["--heap-memory-max", "65", "-"], b"", "1..=64"),
        (&[], b"", "<FILE>"),
    ] {
        let (code, out, error) = texts(&run(arguments, input));
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}");
        assert!(error.contains(what), "{arguments:?}: {error}");
    }
    assert_eq!(
        texts(&run(&["-"], &too_large[1..])).0,
        0,
        "the limit itself is fine"
    );
}

#[test]
fn the_conversation_can_be_seen() {
    let (code, out, error) = texts(&run(&["--trace-frames", "-"], b"console.log(1); 2"));
    assert_eq!((code, out.as_str()), (0, "1\n2\n"));
    let frames: Vec<&str> = error
        .lines()
        .filter_map(|line| line.split(['(', '{']).next())
        .collect();
    assert_eq!(
        frames,
        ["◀ Hello", "▶ Start", "◀ Console", "◀ Finished"],
        "{error}"
    );
}

#[test]
fn modules_are_preloaded_by_hand_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("math.wasm");
    let text = "(module (func (export \"two\") (result i32) i32.const 2))";
    std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    let module = format!("math={}", path.display());
    let output = run(&["--wasm-module", &module, "-"], b"math.two() + 1");
    assert_eq!(texts(&output), (0, "3\n".to_owned(), String::new()));
    for (arguments, what) in [
        (vec!["--wasm-module", "math"], "it is not NAME=FILE"),
        (vec!["--wasm-module", "let=/x"], "reserved word"),
        (vec!["--wasm-module", "x=/nowhere"], "cannot read /nowhere"),
        (
            vec!["--wasm-module", &module, "--wasm-module", &module],
            "two WebAssembly modules are called math",
        ),
        (
            vec!["--wasm-module", &module, "--engine-tier", "jitless"],
            "no WebAssembly",
        ),
    ] {
        let (code, _, error) = texts(&run(&[&arguments[..], &["-"]].concat(), b"1"));
        assert_eq!(code, 64);
        assert!(error.contains(what), "{what}: {error}");
    }
}
