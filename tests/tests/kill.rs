//! Whoever is killed at whichever step of one execution: it ends once, in the way that the step allows,
//! and the next one works.
//!
//! The steps are those at which something can be seen from outside: a worker waits, it has read half
//! of its script, it runs, it writes, it has said its last word and nobody has heard it yet, it is gone
//! and its end is not yet recorded, all is over.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use e2e::endurance::{WORKER, Way, start};
use e2e::home::Home;
use e2e::hostile::{MARK_INFIX, OBEY, script};
use e2e::processes::{self, Entry};
use e2e::server::{PATIENCE, Server, is_final};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// What workers save here, and its SHA-256.
const SAVE: &str = "completed put=abc saved=3 exit=0";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Where one execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    HalfTold,
    Running,
    AmidOutput,
    Finished,
    Settling,
    Ended,
}
use Step::{AmidOutput, Ended, Finished, HalfTold, Running, Settling};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Worker,
    ForkServer,
    Server,
}

/// How the execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With its result: its last word counts.
    Completed,
    /// Without, and says so with this word.
    Failed(&'static str),
}

/// What comes of each victim at each step.
const TABLE: &[(Step, Victim, End)] = &[
    (HalfTold, Victim::Worker, End::Failed("SIGKILL")),
    (Running, Victim::Worker, End::Failed("SIGKILL")),
    (AmidOutput, Victim::Worker, End::Failed("SIGKILL")),
    (Finished, Victim::Worker, End::Completed),
    (HalfTold, Victim::ForkServer, End::Failed("fork server")),
    (Running, Victim::ForkServer, End::Failed("fork server")),
    (AmidOutput, Victim::ForkServer, End::Failed("fork server")),
    (Finished, Victim::ForkServer, End::Completed),
    (Settling, Victim::ForkServer, End::Completed),
    (Ended, Victim::ForkServer, End::Completed),
    (HalfTold, Victim::Server, End::Failed("server")),
    (Running, Victim::Server, End::Failed("server")),
    (AmidOutput, Victim::Server, End::Failed("server")),
    // It was said, perhaps heard, but not recorded, and no client was told.
    (Finished, Victim::Server, End::Failed("server")),
    (Settling, Victim::Server, End::Failed("server")),
    (Ended, Victim::Server, End::Completed),
];

/// A server with one execution at a step.
struct Scene {
    home: Home,
    server: Server,
    id: String,
    worker: Pid,
    /// Keeps the end from being recorded.
    lock: Option<File>,
}

impl Scene {
    fn at(step: Step, way: Way) -> Self {
        let home = Home::new();
        let (steps, code) = match step {
            // Far more than a pipe holds.
            HalfTold => (
                "hello start_partly=1000 mark=here sleep",
                "x".repeat(1 << 20),
            ),
            Running => (OBEY, script("mark=here sleep")),
            AmidOutput => (OBEY, script("mark=here flood")),
            Finished => (
                OBEY,
                script("mark=here await=leave finished mark=said sleep"),
            ),
            Settling => (OBEY, script("mark=here await=leave finished exit=0")),
            Ended => (OBEY, script("mark=here finished exit=0")),
        };
        home.hostile(WORKER, steps);
        let mut server = start(&home, way, &[]);
        let id = server.submit(&code);
        let worker = home.await_mark(WORKER, "here");
        home.instruct(WORKER, OBEY);
        await_record(&home, &id);
        let mut scene = Self {
            home,
            server,
            id,
            worker,
            lock: None,
        };
        scene.settle(step);
        scene
    }

    /// What else it takes to be at the step.
    fn settle(&mut self, step: Step) {
        match step {
            HalfTold | Running => {
                self.server.until(&self.id, "running");
            }
            Finished => {
                // A server that hears the last word ends the worker at once.
                self.server.until(&self.id, "running");
                self.server.signal(Signal::SIGSTOP);
                self.home.give_leave(WORKER, "leave");
                self.home.await_mark(WORKER, "said");
            }
            AmidOutput => {
                self.server.until_output(&self.id, 1);
            }
            Settling => {
                self.lock = Some(lock_database(&self.home));
                self.home.give_leave(WORKER, "leave");
                // It may be reaped later.
                let gone = || has_ended(self.worker.as_raw());
                assert!(processes::within(PATIENCE, gone));
                assert_eq!(self.server.get(&self.id)["status"], "running");
            }
            Ended => {
                self.server.wait(&self.id);
            }
        }
    }

    fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Worker => {
                // Those that wait as well: some of them were told to stop half-way.
                for worker in workers(&self.server) {
                    kill(Pid::from_raw(worker.pid), Signal::SIGKILL).expect("it is there");
                    assert!(processes::within(PATIENCE, || has_ended(worker.pid)));
                }
            }
            Victim::ForkServer => {
                let zygote = fork_server(&self.server).expect("one serves");
                kill(Pid::from_raw(zygote.pid), Signal::SIGKILL).expect("it is there");
            }
            Victim::Server => {
                self.server.signal(Signal::SIGKILL);
                self.server.wait_exit(PATIENCE);
                self.home.assert_empty();
            }
        }
        // What was held up goes on.
        self.lock = None;
        if victim != Victim::Server {
            self.server.signal(Signal::SIGCONT);
        }
    }
}

/// The fork server that serves: the one with workers, where another is about to end.
fn fork_server(server: &Server) -> Option<Entry> {
    let beneath = processes::descendants(server.pid());
    let mut zygotes: Vec<Entry> = beneath
        .iter()
        .filter(|one| one.parent == server.pid().as_raw() && one.subcommand == "zygote")
        .cloned()
        .collect();
    zygotes.sort_by_key(|zygote| {
        beneath
            .iter()
            .filter(|one| one.parent == zygote.pid)
            .count()
    });
    zygotes.pop()
}

/// Workers, parked or not, however they were started.
fn workers(server: &Server) -> Vec<Entry> {
    let own = server.pid().as_raw();
    let beneath = processes::descendants(server.pid());
    let is_worker = |one: &Entry| one.parent != own || one.subcommand == "serve";
    beneath.into_iter().filter(is_worker).collect()
}

fn has_ended(pid: i32) -> bool {
    let lives = |one: &Entry| one.pid == pid && one.state != 'Z';
    !processes::all().iter().any(lives)
}

/// Waits until another server on the same directory sees an execution: it is recorded then.
fn await_record(home: &Home, id: &str) {
    let mut observer = start(home, Way::Exec, &[]);
    let recorded = processes::within(PATIENCE, || {
        let call = observer.send_call("get_execution", json!({"execution_id": id}));
        observer.answer(call)["result"]["isError"] != true
    });
    assert!(recorded, "{id} is not recorded");
    observer.finish();
}

/// Takes the lock under which SQLite writes to its log (its file format, "WAL-index"): readers go on,
/// writers wait.
fn lock_database(home: &Home) -> File {
    const WRITE_LOCK_BYTE: libc::off_t = 120;
    let path = home.path("data").join("executions.db-shm");
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.expect("the server has opened its database");
    let lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).expect("a small number"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("a small number"),
        l_start: WRITE_LOCK_BYTE,
        l_len: 1,
        l_pid: 0,
    };
    let locked = processes::within(PATIENCE, || fcntl(&file, FcntlArg::F_SETLK(&lock)).is_ok());
    assert!(locked, "somebody writes without end");
    file
}

/// The one row of an execution, and that nothing changes it any more.
fn assert_final(server: &mut Server, id: &str) -> Value {
    let seen = server.wait(id);
    let page = server.call("list_executions", json!({"limit": 1000}));
    let rows = page["executions"].as_array().expect("a list");
    let own = rows.iter().filter(|row| row["execution_id"] == *id).count();
    assert_eq!(own, 1, "{page}");
    let text = server.refused("cancel_execution", json!({"execution_id": id}));
    assert!(text.contains("not running"), "{text}");
    let again = server.get(id);
    for field in ["status", "result", "error", "completed_at"] {
        assert_eq!(again[field], seen[field], "{again}");
    }
    seen
}

fn play(step: Step, way: Way, victim: Victim, end: End) {
    let about = format!(
        "{victim:?} killed while {step:?}, workers by {}",
        way.name()
    );
    let mut scene = Scene::at(step, way);
    scene.kill(victim);
    let Scene {
        home,
        mut server,
        id,
        ..
    } = scene;
    if victim == Victim::Server {
        server = start(&home, way, &[]);
        assert!(is_final(&server.get(&id)), "{about}: it is lost");
    }
    let seen = assert_final(&mut server, &id);
    let error = seen["error"].as_str().unwrap_or_default();
    match end {
        End::Completed => assert_eq!(seen["result"], "ok", "{about}: {seen}"),
        End::Failed(word) => {
            assert_eq!(seen["status"], "failed", "{about}: {seen}");
            assert!(error.contains(word), "{about}: {error}");
        }
    }
    if step == AmidOutput {
        let page = server.call("get_execution_output", json!({"execution_id": id}));
        let kept = page["data"].as_str().unwrap_or_default();
        assert!(kept.starts_with("xxxx"), "{about}: {page}");
    }
    assert_eq!(server.run("next")["result"], "next", "{about}");
    assert_final(&mut server, &id);
    server.finish();
    home.assert_empty();
}

fn play_all(victim: Victim, ways: &[Way]) {
    for way in ways {
        for (step, _, end) in TABLE.iter().filter(|(_, whom, _)| *whom == victim) {
            play(*step, *way, victim, *end);
        }
    }
}

#[test]
fn a_worker_killed_at_each_step() {
    play_all(Victim::Worker, &[Way::Exec, Way::Zygote]);
}

#[test]
fn a_fork_server_killed_at_each_step() {
    play_all(Victim::ForkServer, &[Way::Zygote]);
}

#[test]
fn a_server_killed_at_each_step() {
    play_all(Victim::Server, &[Way::Exec, Way::Zygote]);
}

/// The files of stored heaps.
fn blobs(home: &Home) -> Vec<PathBuf> {
    let folders = fs::read_dir(home.path("heaps")).into_iter().flatten();
    let files = folders
        .flatten()
        .filter_map(|folder| fs::read_dir(folder.path()).ok());
    let paths = files.flatten().flatten().map(|file| file.path());
    paths
        .filter(|path| path.extension().is_some_and(|name| name == "heap"))
        .collect()
}

/// Kills a server in the middle of this, with a database that nobody can write to; the next one.
fn killed_unwritten(home: &Home, steps: &str, is_there: impl Fn() -> bool) -> Server {
    home.hostile(WORKER, OBEY);
    let mut server = start(home, Way::Exec, &[]);
    let id = server.submit(&script(&format!("mark=here await=leave {steps}")));
    home.await_mark(WORKER, "here");
    await_record(home, &id);
    server.until(&id, "running");
    let lock = lock_database(home);
    home.give_leave(WORKER, "leave");
    assert!(processes::within(PATIENCE, is_there), "{steps}");
    server.signal(Signal::SIGKILL);
    server.wait_exit(PATIENCE);
    home.assert_empty();
    drop(lock);
    let mut server = start(home, Way::Exec, &[]);
    let seen = assert_final(&mut server, &id);
    assert_eq!(seen["status"], "failed", "{steps}: {seen}");
    assert_eq!(seen["heap"], Value::Null, "{steps}: {seen}");
    server
}

#[test]
fn a_server_killed_before_a_heap_comes_has_none() {
    let home = Home::new();
    let said = home.path(&format!("{WORKER}{MARK_INFIX}said"));
    let mut server = killed_unwritten(&home, "completed mark=said sleep", || said.exists());
    assert!(blobs(&home).is_empty());
    let refused = server.refused("run_js", json!({"code": "1", "heap": ABC}));
    assert!(refused.contains(ABC), "{refused}");
    server.finish();
}

#[test]
fn a_server_killed_between_a_heap_and_its_row_leaves_an_orphan_that_is_collected() {
    let home = Home::new();
    let server = killed_unwritten(&home, SAVE, || !blobs(&home).is_empty());
    server.finish();
    let collect = || {
        let mut gc = home.command();
        gc.arg("gc").arg("--session-db-path").arg(home.path("data"));
        gc.arg("--directory-path").arg(home.path("heaps"));
        let done = gc.output().expect("it runs");
        assert!(done.status.success(), "{done:?}");
    };
    collect();
    let [orphan] = &blobs(&home)[..] else {
        panic!("one that is young stays: its row may be on its way")
    };
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
    let file = File::options().write(true).open(orphan);
    file.expect("our own file")
        .set_modified(long_ago)
        .expect("our own file");
    collect();
    assert!(blobs(&home).is_empty());
}

#[test]
fn a_server_killed_after_it_has_told_of_a_heap_keeps_it() {
    let home = Home::new();
    home.hostile(WORKER, OBEY);
    let mut server = start(&home, Way::Exec, &[]);
    assert_eq!(server.run(&script(SAVE))["heap"], ABC);
    server.signal(Signal::SIGKILL);
    server.wait_exit(PATIENCE);
    let mut server = start(&home, Way::Exec, &[]);
    let seen = server.run_with("again", json!({"heap": ABC}));
    assert_eq!(seen["status"], "completed", "{seen}");
    server.finish();
}
