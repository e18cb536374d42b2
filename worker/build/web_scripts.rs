//! Puts the JavaScript of Deno's crates into the program.
//!
//! The crates name their scripts by the path that they have on the machine that builds, and read them
//! when a runtime is made. A worker reads no file, and runs on other machines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates whose scripts are taken.
const CRATES: [&str; 2] = ["deno_webidl", "deno_web"];

pub(crate) fn build(out: &Path) {
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let mut code = String::from("static DENO: &[(&str, &str)] = &[\n");
    let metadata = metadata();
    for name in CRATES {
        let folder = folder(&metadata, name);
        let mut scripts: Vec<PathBuf> = std::fs::read_dir(&folder)
            .expect("the sources of a dependency are there")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
            .collect();
        scripts.sort();
        for script in scripts {
            let file = script.file_name().and_then(|file| file.to_str());
            let file = file.expect("a script's name is text");
            let _infallible = writeln!(
                code,
                "(\"ext:{name}/{file}\", include_str!({:?})),",
                script.display().to_string()
            );
        }
    }
    code.push_str("];\n");
    std::fs::write(out.join("web_scripts.rs"), code).expect("OUT_DIR is writable");
}

fn metadata() -> Value {
    let variable = |name: &str| std::env::var(name).expect("cargo sets it for build scripts");
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(["--filter-platform", &variable("TARGET")])
        .args(["--manifest-path", &variable("CARGO_MANIFEST_PATH")])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

fn folder(metadata: &Value, name: &str) -> PathBuf {
    let packages = metadata["packages"]
        .as_array()
        .expect("packages are listed");
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .unwrap_or_else(|| panic!("{name} is a dependency"));
    let manifest = package["manifest_path"].as_str().expect("it has a path");
    let folder = Path::new(manifest).parent();
    folder.expect("a manifest is in a folder").to_owned()
}
