//! A server whose audit log is on a disk that is full.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use e2e::home::{Home, program};
use e2e::http::HttpServer;
use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Executions after which a full disk is noticed for certain: a page of the disk holds fewer lines.
const ATTEMPTS: usize = 200;

/// A disk of a few pages.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nobody may mount one.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).expect("a directory in our own");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(&at)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(at))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("fill")).expect("there is room for a name");
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _busy = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn becomes(server: &HttpServer, state: &str, status: u16) {
    let ready = || server.get("/readyz");
    let is_so = || ready().json()["checks"]["audit"] == state;
    assert!(processes::within(PATIENCE, is_so), "{:?}", ready());
    assert_eq!(ready().status, status);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
fn nothing_is_accepted_while_it_cannot_be_noted_and_reading_goes_on() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(home.path("small")) else {
        eprintln!("skipped: a disk that is small cannot be mounted here");
        return;
    };
    let log = home.path("small/audit.log").display().to_string();
    let key = home.path("audit.key").display().to_string();
    let arguments = ["--audit-log", &log, "--audit-key-file", &key];
    let mut server = HttpServer::start(&home, &arguments);
    let ran = server.run("1");
    let id = ran["execution_id"].as_str().expect("an id").to_owned();
    let heap = ran["heap"].as_str().expect("a heap").to_owned();
    becomes(&server, "ok", 200);

    disk.fill();
    let submit = || server.post("/api/exec", &json!({"code": "2"}));
    let refused = (0..ATTEMPTS)
        .map(|_| submit())
        .find(|answer| answer.status != 202)
        .expect("it is noticed");
    let told = (refused.status, refused.error_code());
    assert_eq!(told, (503, "audit_unavailable".to_owned()), "{refused:?}");
    assert!(
        !refused.body.contains("small"),
        "it names no place: {refused:?}"
    );
    becomes(&server, "failing", 503);
    assert_eq!(submit().error_code(), "audit_unavailable");
    let tags = format!("/api/heaps/{heap}/tags");
    let tagged = server.send("PUT", &tags, &json!({"tags": {"a": "b"}}));
    assert_eq!(tagged.error_code(), "audit_unavailable", "{tagged:?}");
    // It lives, and what is there can be read.
    assert_eq!(server.get("/healthz").status, 200);
    let read: Value = server.get(&format!("/api/executions/{id}")).json();
    assert_eq!(read["result"], "1", "{read}");
    assert_eq!(server.get(&tags).json()["tags"], json!({}));

    disk.make_room();
    becomes(&server, "ok", 200);
    assert_eq!(server.run("3")["result"], "3");
    server.process.signal(Signal::SIGTERM);
    assert!(server.process.wait_exit(PATIENCE).success());
    let verified = Command::new(program("mcp-v8"))
        .args(["audit", "verify"])
        .args(arguments)
        .env_clear()
        .output()
        .expect("it can be executed");
    assert!(verified.status.success(), "{verified:?}");
}
