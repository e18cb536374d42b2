//! What a worker has of the server: nothing. A secret is put wherever a server has secrets, and then
//! looked for in everything that waits for work, or runs it, and in everything that is left of it.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use e2e::home::Home;
use e2e::hostile::{RECORD_FROM_INFIX, RECORD_TO_INFIX};
use e2e::processes::{self, Entry};
use e2e::search::{files, files_with, has, has_bytes, is_packed, snapshot};
use e2e::server::{PATIENCE, Server};
use e2e::web::{Web, token};
use nix::unistd::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How much memory is looked at at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A text that is nowhere else, not even whole in this program.
fn secret(name: &str) -> String {
    format!("canary-{name}-{}-in-the-mine", std::process::id())
}

/// The fork server, and what it has forked.
fn beneath(server: &Server) -> Vec<Entry> {
    let mut found = Vec::new();
    let there = processes::within(PATIENCE, || {
        found = processes::descendants(server.pid());
        found.len() >= 2
    });
    assert!(there, "nobody is parked:\n{}", server.log());
    found
}

fn of(process: &Entry, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", process.pid))
}

/// A server that has secrets in its environment and on its command line, and in its memory the script
/// and the output of another execution. Its workers have a WebAssembly module.
fn server_with_secrets(home: &Home, way: &str) -> Server {
    let module = home.path("module.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0").expect("a file in our own directory");
    let mut command = home.server("mcp-v8-worker");
    command
        .arg("--wasm-module")
        .arg(format!("nothing={}", module.display()))
        .env("CANARY_SECRET", secret("environment"))
        .args(["--worker-start", way]);
    let mut server = Server::spawn(command);
    server.initialize();
    let code = format!("console.log('{0}'); '{0}'", secret("script"));
    assert_eq!(server.run(&code)["status"], "completed");
    server
}

#[test]
fn environment_and_arguments_of_a_worker_hold_no_secret() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let mut server = server_with_secrets(&home, "zygote");
    let everybody = beneath(&server);
    for process in &everybody {
        let environment = fs::read(of(process, "environ")).expect("root may read it");
        assert_eq!(
            String::from_utf8_lossy(&environment),
            "TZ=UTC\0LC_ALL=C\0",
            "{process:?}"
        );
        let arguments = fs::read(of(process, "cmdline")).expect("everybody may read it");
        let program = home.path("mcp-v8-worker").display().to_string();
        let rest =
            "\0zygote\0--sandbox\0required\0--engine-tier\0jit\0--mode\0stateful\0--wasm-modules\0";
        assert_eq!(
            String::from_utf8_lossy(&arguments),
            format!("{program}{rest}")
        );
    }
    assert_eq!(server.run("1")["result"], "1");
    server.finish();
}

/// What the descriptors of a process are, by number.
fn descriptors(process: &Entry) -> Vec<String> {
    let mut found: Vec<(i32, String)> = fs::read_dir(of(process, "fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let target = target.to_string_lossy().into_owned();
            // Pipes and sockets have numbers.
            let kind = target.split(":[").next().unwrap_or_default();
            let is_numbered = ["pipe", "socket"].contains(&kind);
            let kind = if is_numbered { kind } else { &target };
            Some((number, kind.to_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, kind)| kind).collect()
}

#[test]
fn a_worker_that_waits_has_five_descriptors_and_a_fork_server_its_own() {
    const WORKER: [&str; 5] = ["/dev/null", "/dev/null", "pipe", "pipe", "pipe"];
    const FORK_SERVER: [&str; 5] = [
        "/dev/null",
        "/dev/null",
        "pipe",
        "socket",
        "anon_inode:[signalfd]",
    ];
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let server = server_with_secrets(&home, "zygote");
    for process in beneath(&server) {
        let is_fork_server = process.parent == server.pid().as_raw();
        let right = if is_fork_server { FORK_SERVER } else { WORKER };
        let mut found = Vec::new();
        // One that is just being made has not closed the others yet.
        let is_right = processes::within(PATIENCE, || {
            found = descriptors(&process);
            // The map of its own memory, opened before the file system was gone.
            found.retain(|kind| !is_fork_server || !kind.ends_with("/smaps"));
            found == right || !lives(process.pid)
        });
        assert!(is_right, "{process:?} has {found:?}");
    }
    server.finish();
}

/// Whether a text is anywhere in the memory of a process that can be read; `None` when it has ended.
fn has_in_memory(pid: i32, text: &str) -> Option<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = false;
    for (start, end) in maps.lines().filter_map(readable_range) {
        // Pieces overlap by the text's length.
        let step = PIECE_BYTES - text.len();
        let mut at = start;
        let mut piece = vec![0; PIECE_BYTES];
        while at < end && !found {
            let length =
                usize::try_from(end - at).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            if let Ok(read) = memory.read_at(&mut piece[..length], at) {
                found = has_bytes(&piece[..read], text.as_bytes());
            }
            at += step as u64;
        }
    }
    // A process that has ended has no memory to find anything in.
    (found || lives(pid)).then_some(found)
}

fn lives(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

fn readable_range(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_readable = words.next()?.starts_with('r');
    let is_special = line.ends_with("[vvar]") || line.ends_with("[vvar_vclock]");
    let number = |text| u64::from_str_radix(text, 16).ok();
    (is_readable && !is_special).then_some((number(start)?, number(end)?))
}

#[test]
fn the_memory_of_a_worker_holds_no_secret_of_the_server_or_of_another_execution() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let mut server = server_with_secrets(&home, "zygote");
    let secrets = [secret("environment"), secret("script")];
    // The search finds what is there: the server has both.
    for secret in &secrets {
        let found = has_in_memory(server.pid().as_raw(), secret);
        assert_eq!(found, Some(true), "{secret}");
    }
    let mut looked_at = 0;
    for process in beneath(&server) {
        for secret in &secrets {
            let found = has_in_memory(process.pid, secret);
            assert_ne!(found, Some(true), "{secret} is in {process:?}");
            looked_at += usize::from(found.is_some());
        }
    }
    // The fork server, and one that waits.
    assert!(looked_at >= 4, "{looked_at}");
    // A worker that runs has its own script, and no other's.
    let own = secret("own");
    let id = server.submit(&format!(
        "globalThis.own = '{own}'; console.log(1); await new Promise(r => setTimeout(r, 20000))"
    ));
    server.until_output(&id, 1);
    let mut running = beneath(&server);
    running.retain(|process| has_in_memory(process.pid, &own) == Some(true));
    assert_eq!(running.len(), 1, "{running:?}");
    for secret in &secrets {
        assert_eq!(has_in_memory(running[0].pid, secret), Some(false));
    }
    server.call("cancel_execution", serde_json::json!({"execution_id": id}));
    server.finish();
}

/// The worker that stands before the real one and writes down what is said.
const RECORDER: &str = "recorder";

/// Who has to do with requests: where they go, who allows them, and who gives tokens for them.
struct World {
    home: Home,
    /// What the operator keeps elsewhere.
    safe: TempDir,
    web: Web,
    opa: Web,
    tokens: Web,
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        let real = home.path("mcp-v8-worker").display().to_string();
        home.hostile(RECORDER, &format!("record={real}"));
        Self {
            home,
            safe: tempfile::tempdir().expect("a temporary directory"),
            web: Web::start(),
            opa: Web::start(),
            tokens: Web::start(),
        }
    }

    /// A server whose requests get a value of the environment and one of a file, those of POST and PUT a token
    /// too; there is none for another host.
    fn serve(&self) -> Server {
        let file = self.safe.path().join("key");
        fs::write(&file, secret("file")).expect("a file in our own directory");
        let oauth = |path| {
            json!({
                "token_url": self.tokens.url(path),
                "client_id": "${CANARY_CLIENT}",
                "client_secret": "${CANARY_CLIENT_SECRET}",
            })
        };
        let rules = json!([
            {"host": "127.0.0.1", "headers": {
                "x-from-file": format!("${{file:{}}}", file.display()),
            }},
            {"host": "127.0.0.1", "methods": ["POST", "PUT"], "oauth": oauth("/token")},
            {"host": "localhost", "oauth": oauth("/redirect/401/none")},
        ]);
        let config = self.safe.path().join("headers.json");
        fs::write(&config, rules.to_string()).expect("a file in our own directory");
        let mut command = self.home.server(RECORDER);
        command
            .args(["--worker-start", "exec", "--fetch-allow-private"])
            .args(["--opa-url", &self.opa.url("")])
            .args([
                "--fetch-header",
                "host=127.0.0.1,header=X-From-Environment,value=${CANARY_VALUE}",
            ])
            .arg("--fetch-header-config")
            .arg(config)
            .arg("--audit-log")
            .arg(self.home.path("audit.log"))
            .env("CANARY_VALUE", secret("environment"))
            .env("CANARY_CLIENT", "client")
            .env("CANARY_CLIENT_SECRET", secret("client-secret"));
        let mut server = Server::spawn(command);
        server.initialize();
        server
    }

    /// What nobody may see but those whom it is for. That they have seen it is asserted here.
    fn secrets(&self) -> Vec<String> {
        let secrets = [
            secret("environment"),
            secret("file"),
            token(self.tokens.port()),
        ];
        let seen = whole(&self.web);
        for secret in &secrets {
            assert!(seen.contains(secret), "{secret} was not sent: {seen}");
        }
        let asked = self.tokens.seen();
        let basic = asked[0].header("authorization").concat();
        let pair = basic.strip_prefix("Basic ").expect("as OAuth says");
        let of_the_client = [secret("client-secret"), pair.to_owned()];
        secrets.into_iter().chain(of_the_client).collect()
    }

    /// Files beneath its home whose names hold this.
    fn files_named(&self, infix: &str) -> Vec<PathBuf> {
        let mut found = files(&self.home.path(""));
        found.retain(|path| path.display().to_string().contains(infix));
        found
    }
}

/// Makes requests that go well and that fail in each way, and keeps all that it learns of them: in its heap, its
/// output, its result. `planted` is among it, as a secret would be that had leaked.
fn curious(world: &World, planted: &str) -> String {
    let url = |path: &str| world.web.url(path);
    let elsewhere = format!("http://localhost:{}/text", world.web.port());
    format!(
        "globalThis.kept ??= ['{planted}'];
         const learn = async (url, init) => {{
             try {{
                 const r = await fetch(url, init);
                 kept.push(r.status, r.url, r.statusText, ...[...r.headers].flat(), await r.text());
             }} catch (e) {{ kept.push(String(e), e.stack, String(e.cause)); }}
         }};
         await learn('{}?{planted}');
         await learn('{}', {{method: 'POST', body: '{planted}'}});
         await learn('{}', {{method: 'PUT', body: new Blob([new Uint8Array(2e5)])}});
         await learn('{}', {{method: 'DELETE'}});
         await learn('{}', {{method: 'POST'}});
         await learn('{}', {{redirect: 'error'}});
         await learn('{}');
         await learn('http://127.0.0.1:1/');
         await learn('{elsewhere}');
         console.log(kept, await fetch('{}'));
         JSON.stringify(kept)",
        url("/text"),
        url("/echo"),
        url("/redirect/307/count"),
        url("/text"),
        url("/redirect/401/text"),
        url("/redirect/302/text"),
        url("/away/302/localhost/text"),
        url("/bytes"),
    )
}

/// All that a server of the web was asked.
fn whole(web: &Web) -> String {
    let asked = web.seen().into_iter().map(|asked| {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        format!("{} {:?} {body}", asked.path, asked.headers)
    });
    asked.collect::<Vec<_>>().join("\n")
}

/// All that a client is told of an execution.
fn told(server: &mut Server, seen: &Value) -> String {
    let id = json!({"execution_id": seen["execution_id"]});
    let again = server.call("get_execution", id.clone());
    let output = server.call("get_execution_output", id);
    format!("{seen}\n{again}\n{output}")
}

#[test]
fn what_requests_are_given_is_in_no_log_frame_answer_question_database_or_heap() {
    let world = World::new();
    let planted = secret("planted");
    let mut server = world.serve();
    let first = server.run(&curious(&world, &planted));
    assert_eq!(first["status"], "completed", "{first}");
    let heap = first["heap"].as_str().expect("it is kept").to_owned();
    let mut answers = told(&mut server, &first);
    let code = format!("{}; throw new Error(kept.join())", curious(&world, ""));
    let second = server.run_with(&code, json!({"heap": heap, "session": "s"}));
    assert_eq!(second["status"], "failed", "{second}");
    answers.push_str(&told(&mut server, &second));
    let third = server.run_with(&curious(&world, ""), json!({"heap": heap, "session": "s"}));
    assert_eq!(third["status"], "completed", "{third}");
    answers.push_str(&told(&mut server, &third));
    let entries = server.call("list_session_snapshots", json!({"session": "s"}));
    answers.push_str(&entries.to_string());

    let secrets = world.secrets();
    let questions = whole(&world.opa);
    // Written while the server runs, so that what is in the log of the database is in no file else.
    let anywhere = |text: &str| files_with(&world.home.path(""), text);
    for secret in &secrets {
        assert_eq!(anywhere(secret), Vec::<PathBuf>::new(), "{secret}");
        assert!(!has(answers.as_bytes(), secret), "{secret}: {answers}");
        assert!(!has(questions.as_bytes(), secret), "{secret}: {questions}");
        assert!(!server.log().contains(secret), "{secret}: {}", server.log());
    }
    // The same search finds what is there.
    let found = anywhere(&planted);
    for infix in [RECORD_TO_INFIX, RECORD_FROM_INFIX, "-wal", ".heap"] {
        let there = world.files_named(infix);
        let is_found = there.iter().any(|path| found.contains(path));
        assert!(is_found, "{infix}: {there:?}, {found:?}");
    }
    assert!(has(answers.as_bytes(), &planted), "{answers}");
    assert!(has(questions.as_bytes(), &planted), "{questions}");
    assert!(server.log().contains("DEBUG"), "{}", server.log());
    server.finish();
    for secret in &secrets {
        assert_eq!(anywhere(secret), Vec::<PathBuf>::new(), "{secret}");
    }
}

#[test]
fn a_secret_in_a_packed_heap_would_be_found() {
    let home = Home::new();
    let mut server = home.start();
    let canary = secret("planted");
    // Put together by the script: the code as it was submitted holds half of it.
    let (begin, end) = canary.split_at(canary.len() / 2);
    for (made, is_there) in [
        (format!("'{begin}' + '{end}'"), true),
        (format!("'\\u{{263a}}{begin}' + '{end}'"), true),
        (format!("'{begin}' + '-' + '{end}'"), false),
    ] {
        // Flat: V8 puts texts together when somebody looks into them.
        let code = format!("globalThis.a = {{}}; const made = {made}; a[made] = 1; {made}.length");
        let seen = server.run(&code);
        let heap = seen["heap"]
            .as_str()
            .unwrap_or_else(|| panic!("{seen}"))
            .to_owned();
        let mut heaps = files(&home.path("heaps"));
        heaps.retain(|path| path.display().to_string().contains(&heap));
        let [path] = &heaps[..] else {
            panic!("{heaps:?}");
        };
        let file = fs::read(path).expect("it is kept");
        assert!(is_packed(&file), "{seen}");
        let unpacked = snapshot(&file).expect("a heap");
        assert_eq!(has(&unpacked, &canary), is_there, "{made}");
        let found = files_with(&home.path("heaps"), &canary);
        assert_eq!(found.contains(path), is_there, "{made}: {found:?}");
    }
    server.finish();
}
