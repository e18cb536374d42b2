//! The server as a part of a machine: what it says to a service manager, and what it gives to shells and
//! readers of manuals.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use e2e::home::{Home, program};
use e2e::http::HttpServer;
use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;

/// The next thing that the manager is told.
fn told(manager: &UnixDatagram) -> String {
    let mut text = [0; 256];
    let length = manager.recv(&mut text).expect("it says something");
    String::from_utf8_lossy(&text[..length]).trim().to_owned()
}

#[test]
fn a_service_manager_hears_when_it_accepts_that_it_lives_and_when_it_ends() {
    let home = Home::new();
    let socket = home.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket in our own directory");
    manager
        .set_read_timeout(Some(PATIENCE))
        .expect("a time that is not 0");
    // Whoever can write to it is heard: workers could, were they told where it is, and had they sockets.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let mut command = home.server("mcp-v8-worker");
    command
        .args(["--http-port", "0"])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "300000");
    let mut server = HttpServer::spawn(command);
    assert_eq!(told(&manager), "READY=1");
    assert_eq!(server.get("/readyz").status, 200, "it has said that it is");
    for _ in 0..3 {
        assert_eq!(told(&manager), "WATCHDOG=1");
    }
    assert_eq!(server.run("6 * 7")["result"], "42");

    let children = processes::descendants(server.process.pid());
    assert!(!children.is_empty(), "a fork server, and workers");
    for child in children {
        let environment = fs::read(format!("/proc/{}/environ", child.pid));
        // One that has just ended has none.
        let environment = environment.unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        for name in ["NOTIFY_SOCKET", "WATCHDOG"] {
            assert!(!environment.contains(name), "{environment}");
        }
    }

    server.process.signal(Signal::SIGTERM);
    let ending = (0..100).any(|_| told(&manager) == "STOPPING=1");
    assert!(ending, "it says that it ends");
    assert!(server.process.wait_exit(PATIENCE).success());
}

#[test]
fn without_a_service_manager_nothing_is_missing() {
    let home = Home::new();
    let nobody = home.path("nobody");
    let mut command = home.server("mcp-v8-worker");
    command
        .args(["--http-port", "0"])
        .env("NOTIFY_SOCKET", &nobody)
        .env("WATCHDOG_USEC", "nonsense");
    let server = HttpServer::spawn(command);
    assert_eq!(server.run("6 * 7")["result"], "42");
    let warned = || server.process.log().contains("service manager");
    assert!(
        processes::within(PATIENCE, warned),
        "an operator would look"
    );
}

/// What the program prints, from nothing but these words.
fn printed(words: &[&str]) -> String {
    let output = Command::new(program("mcp-v8"))
        .args(words)
        .env_clear()
        .output()
        .expect("it can be executed");
    assert!(output.status.success(), "{words:?}");
    assert!(output.stderr.is_empty(), "{words:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn a_real_bash_completes_flags_and_commands() {
    let home = Home::new();
    fs::write(home.path("completions"), printed(&["completions", "bash"])).expect("our directory");
    let complete = |words: &str, current: &str| {
        // As bash itself calls it: the words of the line, the one that is typed, the one before, and the list
        // that comes back. `compopt` is about a completion under way.
        let script = format!(
            "source completions; compopt() {{ :; }}; \
             [[ $(complete -p mcp-v8) =~ -F\\ ([^ ]+) ]]; COMP_WORDS=({words} '{current}'); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             ${{BASH_REMATCH[1]}} mcp-v8 '{current}' \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]-}}\""
        );
        let output = Command::new("bash")
            .args(["--norc", "-uc", &script])
            .current_dir(home.path(""))
            .output()
            .expect("there is a bash");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(complete("mcp-v8", "--http-p").trim(), "--http-port");
    assert_eq!(complete("mcp-v8 policy", "ch").trim(), "check");
    assert_eq!(complete("mcp-v8 gc", "--dr").trim(), "--dry-run");
    assert_eq!(complete("mcp-v8", "--no-such").trim(), "");
    assert_eq!(
        complete("mcp-v8 --config", "complet").trim(),
        "completions",
        "a file is completed"
    );
}

#[test]
fn a_configuration_that_is_wrong_is_in_nobodys_way_here() {
    let output = Command::new(program("mcp-v8"))
        .args(["completions", "zsh"])
        .env_clear()
        .env("MCP_V8_HEAP_MEMORY_MAX", "1000000")
        .stdin(Stdio::null())
        .output()
        .expect("it can be executed");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("#compdef mcp-v8"));
}

#[test]
fn a_manual_is_rendered_without_a_complaint() {
    let Ok(version) = Command::new("man").arg("--version").output() else {
        // A machine without readers of manuals has nobody who would complain.
        return;
    };
    assert!(version.status.success());
    let home = Home::new();
    for words in printed(&["man", "--list"]).lines() {
        let words: Vec<&str> = ["man"]
            .into_iter()
            .chain(words.split_whitespace())
            .collect();
        let path = home.path("page.1");
        fs::write(&path, printed(&words)).expect("our directory");
        let output = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(&path)
            .envs([("MANWIDTH", "100"), ("LC_ALL", "C.UTF-8")])
            .output()
            .expect("it was there just now");
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && complaints.is_empty(),
            "{words:?}: {complaints}"
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("SYNOPSIS"), "{text}");
        // The examples keep their lines.
        if words.len() == 1 {
            assert!(
                text.contains("\n         mcp-v8 --http-port 8080"),
                "{text}"
            );
        }
    }
}
