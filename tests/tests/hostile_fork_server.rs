//! Fork servers that misbehave, over the real server: executions end well, by workers that are executed
//! or by another fork server, in bounded time, and nothing is left behind.
//!
//! A fork server reads no byte of a user, so none of this is expected of an attacker; it is what a bug,
//! or the system, may do to it.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::endurance::{WORKER, Way, start};
use e2e::home::Home;
use e2e::hostile::OBEY;
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use serde_json::Value;

/// Executions over each misbehaviour.
const EXECUTIONS: usize = 12;
/// How long they may take together: a few waits for a fork server that does not serve.
const TOGETHER: Duration = Duration::from_secs(20);
/// Cases that are tried at once; most of their time is waiting.
const AT_ONCE: usize = 6;

/// The steps of a fork server, and words of the server's log that show that it met them.
type Case = (&'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    // Before Hello.
    ("exit=70", &["code 70"]),
    ("exit=0", &["the fork server ended"]),
    ("signal=SIGSEGV", &["SIGSEGV"]),
    ("close sleep", &["the fork server ended"]),
    ("packet=garbage sleep", &["holds no message"]),
    ("packet=empty sleep", &["the fork server ended"]),
    ("exited=0 sleep", &["Exited is not legal before Hello"]),
    ("forked_other sleep", &["Forked is not legal before Hello"]),
    ("hello_of_protocol=99 serve", &["protocol 99"]),
    ("hello_of_version=9.9.9 serve", &["version 9.9.9"]),
    // After Hello, to nobody's order.
    ("hello exit=3", &["a fork server ended by itself"]),
    ("hello signal=SIGKILL", &["a fork server ended by itself"]),
    ("hello close sleep", &["a fork server ended by itself"]),
    ("hello hello serve", &["Hello is not legal after Hello"]),
    ("hello forked_other sleep", &["Forked is about worker 1000"]),
    ("hello exited=7 serve", &["Exited is about worker 7"]),
    ("hello packet=garbage sleep", &["holds no message"]),
    ("hello packet=oversize sleep", &["above the limit"]),
    ("hello packet=huge sleep", &["above the limit"]),
    ("hello packet=torn sleep", &["holds no message"]),
    ("hello packet=trailing sleep", &["follow the message"]),
    (
        "hello packet=empty sleep",
        &["a fork server ended by itself"],
    ),
    ("hello flood", &["Hello is not legal after Hello"]),
    // To an order.
    ("hello sleep", &["health=Hung"]),
    ("hello signal=SIGSTOP sleep", &["health=Hung"]),
    ("hello take sleep", &["health=Hung"]),
    ("hello take exit=0", &["a fork server ended by itself"]),
    ("hello refuse", &["the system refused a fork"]),
    (
        "hello take forked=nothing sleep",
        &["it sent 0 descriptors"],
    ),
    ("hello take forked=two sleep", &["it sent 2 descriptors"]),
    ("hello take forked=many sleep", &["it sent 200 descriptors"]),
    ("hello take forked=pipe sleep", &["not a worker's"]),
    ("hello take forked=null sleep", &["not a worker's"]),
    ("hello take forked=control sleep", &["not a worker's"]),
    ("hello take forked=itself sleep", &["not a worker's"]),
    ("hello take forked=parent sleep", &["not a worker's"]),
    ("hello take exited=0 sleep", &["Exited is about worker 0"]),
    // After a while.
    (
        "hello serve=1 bury exited=0 sleep",
        &["Exited is about worker 0"],
    ),
    ("hello serve=3 sleep", &["health=Hung"]),
    ("hello serve=3 signal=SIGSTOP sleep", &["health=Hung"]),
    ("hello serve=3 exit=0", &["a fork server ended by itself"]),
    (
        "hello serve=3 signal=SIGKILL",
        &["a fork server ended by itself"],
    ),
    (
        "hello serve=3 hello serve",
        &["Hello is not legal after Hello"],
    ),
    ("hello serve=3 packet=garbage serve", &["holds no message"]),
    ("hello serve=3 refuse", &["the system refused a fork"]),
    ("hello serve=3 flood", &["Hello is not legal after Hello"]),
    // Its workers.
    (
        "hello workers=exit=3 serve",
        &["a forked worker did not become ready"],
    ),
    ("hello workers=signal=SIGSEGV serve", &["health=Suspect"]),
    ("hello workers=garbage+sleep serve", &["above the limit"]),
    (
        "hello workers=hello_of_version=0+sleep serve",
        &["version 0"],
    ),
    (
        "hello workers=close+sleep serve",
        &["a forked worker did not become ready"],
    ),
    (
        "hello workers=finished+sleep serve",
        &["Finished is not legal while Booting"],
    ),
];

/// These take the whole patience with a worker that says nothing; executions do not wait for it.
const SLOW_CASES: &[Case] = &[
    ("sleep", &["said nothing for"]),
    ("signal=SIGSTOP sleep", &["said nothing for"]),
    ("hello workers=sleep serve", &["said nothing for"]),
    ("hello workers=torn+sleep serve", &["said nothing for"]),
    ("hello workers=signal=SIGSTOP serve", &["said nothing for"]),
];

/// A server whose fork servers perform these steps, and whose executed workers are good.
fn over(home: &Home, steps: &str) -> Server {
    home.hostile(WORKER, OBEY);
    home.instruct_fork_server(WORKER, steps);
    start(home, Way::Zygote, &["--max-concurrent-executions", "4"])
}

/// Executions one after the other, then at once: each gives its own result, in time. What runs in a
/// worker of a fork server that ends at that moment may be lost, and says so.
fn executions_end_well(server: &mut Server, steps: &str) {
    let begin = Instant::now();
    for n in 0..EXECUTIONS / 2 {
        let code = format!("{steps} {n}");
        let seen = server.run(&code);
        assert_ended_well(&seen, &code, steps);
    }
    let ids: Vec<(String, String)> = (EXECUTIONS / 2..EXECUTIONS)
        .map(|n| format!("{steps} {n}"))
        .map(|code| (server.submit(&code), code))
        .collect();
    for (id, code) in ids {
        assert_ended_well(&server.wait(&id), &code, steps);
    }
    let took = begin.elapsed();
    assert!(took < TOGETHER, "{steps}: {took:?}");
}

fn assert_ended_well(seen: &Value, code: &str, steps: &str) {
    let error = seen["error"].as_str().unwrap_or_default();
    let may_be_lost = steps.contains("serve=");
    let is_lost = may_be_lost && error.contains("ended together with the fork server");
    assert!(is_lost || seen["result"] == code, "{steps}: {seen}");
}

fn withstand((steps, words): Case) {
    let home = Home::new();
    let mut server = over(&home, steps);
    executions_end_well(&mut server, steps);
    let logged = processes::within(PATIENCE, || {
        let log = server.log();
        words.iter().all(|words| log.contains(words))
    });
    assert!(logged, "{steps}: {words:?} are not in:\n{}", server.log());
    // It still works, with whatever fork server there is now.
    let works = processes::within(PATIENCE, || {
        server.run("at the end")["result"] == "at the end"
    });
    assert!(works, "{steps}:\n{}", server.log());
    // Those that are being replaced are few, and none of them a zombie for long.
    let few = processes::within(PATIENCE, || {
        let beneath = processes::descendants(server.pid());
        beneath.len() <= 16 && beneath.iter().all(|entry| entry.state != 'Z')
    });
    assert!(few, "{steps}: {:?}", processes::descendants(server.pid()));
    let descriptors = server.usage().descriptors;
    assert!(descriptors < 128, "{steps}: {descriptors} descriptors");
    server.finish();
    home.assert_empty();
}

fn withstand_all(cases: &[Case]) {
    for some in cases.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for case in some {
                scope.spawn(|| withstand(*case));
            }
        });
    }
}

#[test]
fn whatever_a_fork_server_does_executions_end_well() {
    withstand_all(CASES);
}

#[test]
fn whoever_of_them_says_nothing_holds_nobody_up() {
    withstand_all(SLOW_CASES);
}

#[test]
fn a_fork_server_that_gets_well_serves_again() {
    let home = Home::new();
    let mut server = over(&home, "hello serve=2 packet=garbage");
    executions_end_well(&mut server, "bad");
    home.instruct_fork_server(WORKER, e2e::hostile::SERVE);
    let serves = processes::within(PATIENCE, || {
        server.run("again");
        let beneath = processes::descendants(server.pid());
        let zygote = beneath.iter().find(|entry| entry.subcommand == "zygote");
        // A parked worker of its own, and no other.
        zygote.is_some_and(|zygote| beneath.iter().any(|entry| entry.parent == zygote.pid))
    });
    assert!(serves, "{}", server.log());
    server.finish();
    home.assert_empty();
}

/// A process of the test that has nothing to do with any server.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null());
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The server ends what it takes for a worker: a fork server must not choose whom.
#[test]
fn a_process_that_a_fork_server_has_not_made_is_not_taken_for_a_worker() {
    let mut bystander = Bystander::new();
    let steps = format!("hello take forked={} sleep", bystander.0.id());
    let home = Home::new();
    let mut server = over(&home, &steps);
    executions_end_well(&mut server, &steps);
    let refused = processes::within(PATIENCE, || server.log().contains("not a worker's"));
    assert!(refused, "{}", server.log());
    server.finish();
    home.assert_empty();
    let ended = bystander.0.try_wait().expect("our own child");
    assert_eq!(ended, None, "somebody else's process was ended");
}

/// Lets a server open descriptors below this number only, and says what it might before.
fn limit_descriptors(server: &Server, below: u64) -> u64 {
    let pid = server.pid().as_raw();
    let mut before = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: null pointers are allowed; the other is to a local that outlives the call.
    let read =
        unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut before) };
    let now = libc::rlimit {
        rlim_cur: below,
        ..before
    };
    // SAFETY: as above.
    let set = unsafe {
        libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            &raw const now,
            std::ptr::null_mut(),
        )
    };
    assert_eq!((read, set), (0, 0), "its limits are ours to set");
    before.rlim_cur
}

/// The lowest number that no descriptor of a server has.
fn first_free_descriptor(server: &Server) -> u64 {
    let open = format!("/proc/{}/fd", server.pid());
    let open: Vec<u64> = std::fs::read_dir(open)
        .expect("the server is there")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    (0..).find(|number| !open.contains(number)).unwrap_or(0)
}

/// Whether a server has a process at this number.
fn is_process(server: &Server, descriptor: u64) -> bool {
    let link = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", server.pid()));
    link.is_ok_and(|link| link.to_string_lossy().contains("pidfd"))
}

/// The descriptor of a new worker takes the last place that the server has. Where the kernel is older than
/// Linux 6.13 it cannot look then whose that is. That is nothing that the fork server could help.
#[test]
fn a_worker_that_takes_the_last_descriptor_is_not_held_against_its_fork_server() {
    let home = Home::new();
    // More than are parked at first: who asks meanwhile need not wait for the one that is held back.
    let mut server = over(&home, "hello serve=8 take mark=taken await=go answer serve");
    let mark = home.path(&format!("{WORKER}{}taken", e2e::hostile::MARK_INFIX));
    let taken = processes::within(PATIENCE, || {
        assert_eq!(server.run("before")["result"], "before");
        mark.exists()
    });
    assert!(taken, "{}", server.log());
    let last = first_free_descriptor(&server);
    let before = limit_descriptors(&server, last + 1);
    home.give_leave(WORKER, "go");
    let has_come = processes::within(PATIENCE, || {
        let log = server.log();
        is_process(&server, last)
            || log.contains("the system refused a fork: EMFILE")
            // On a machine that takes too long for this, it has been given up before.
            || log.contains("health=Hung")
    });
    limit_descriptors(&server, before);
    let log = server.log();
    assert!(has_come, "{log}");
    assert!(!log.contains("a fork server was killed"), "{log}");
    assert_eq!(server.run("again")["result"], "again");
    server.finish();
    home.assert_empty();
}
