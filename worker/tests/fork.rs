//! A warm runtime forks: what the choice of runtime rests on (`mcp_v8_worker::runtime`).
//!
//! The fork server builds on this. Here one process makes a runtime and forks; each child runs a
//! script in its copy and tells the result by a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};
use mcp_v8_worker::zygote::inherit;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 32 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        // SAFETY: ends the process.
        unsafe { libc::_exit(3) }
    }
}

fn run_in_child(realm: &mut Realm, source: &str) -> String {
    let mut ends = [0; 2];
    // SAFETY: fills two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the test process has one thread that matters: the child touches nothing of the others.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let text = match realm.run(source, &LIMITS, Box::new(Silent)) {
            Outcome::Completed { result, .. } => result,
            Outcome::Failed { error, .. } => error,
        };
        // SAFETY: the descriptor is this process's.
        let written = unsafe { File::from_raw_fd(ends[1]) }.write_all(text.as_bytes());
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(written.is_err())) }
    }
    // SAFETY: the descriptors are this process's, and not used otherwise.
    let (mut read, write) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text)
        .expect("a child writes UTF-8");
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "{text}");
    text
}

#[test]
fn a_warm_runtime_runs_in_forked_children() {
    let mut realm = Realm::for_run();
    let maps = File::open("/proc/self/smaps").expect("its own maps are readable");
    inherit::everything(&maps).expect("the kernel lets it");
    assert_eq!(run_in_child(&mut realm, "1 + 1"), "2");
    assert_eq!(
        run_in_child(
            &mut realm,
            "let a = []; for (let i = 0; i < 200000; i++) a.push({ i });
             let s = 0; for (let i = 0; i < 3e6; i++) s += i % 7;
             const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1,
               127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
             const { add } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
             await new Promise((resolve) => setTimeout(resolve, 1));
             console.log({ a: new URL('http://x/') });
             add(20, 22) + a.length"
        ),
        "200042"
    );
    let random: Vec<String> = (0..20)
        .map(|_| run_in_child(&mut realm, "Math.random() + ' ' + Math.random()"))
        .collect();
    for (index, numbers) in random.iter().enumerate() {
        assert!(!random[..index].contains(numbers), "{random:?}");
    }
}

/// V8's engine seed is fixed, and V8 would draw its addresses from it. Only what nobody can write to or
/// run lies at the same places: V8's constants, so that heaps have equal bytes. (The rest lies together: a few mappings, where there were some forty.)
#[test]
fn memory_lies_elsewhere_in_each_process() {
    const SHOW: &str = "MCP_V8_TEST_SHOW_MAPS";
    const NAME: &str = "memory_lies_elsewhere_in_each_process";
    let anonymous = || -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("its own maps are readable");
        let lines = maps
            .lines()
            .filter(|line| line.split_whitespace().count() == 5);
        lines
            .filter(|line| {
                let permissions = line.split_whitespace().nth(1).unwrap_or_default();
                permissions.contains(['w', 'x'])
            })
            .filter_map(|line| line.split_once('-'))
            .map(|(start, _)| start.to_owned())
            .collect()
    };
    if std::env::var_os(SHOW).is_some() {
        let _realm = Realm::for_run();
        let mut output = std::io::stderr();
        for start in anonymous() {
            writeln!(output, "at {start}").expect("somebody reads");
        }
        return;
    }
    let of_another = || -> Vec<String> {
        let output = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", NAME, "--nocapture"])
            .env(SHOW, "1")
            .output()
            .expect("it runs again");
        let text = String::from_utf8(output.stderr).expect("text");
        text.lines()
            .filter_map(|line| line.strip_prefix("at "))
            .map(str::to_owned)
            .collect()
    };
    let (one, other) = (of_another(), of_another());
    let shared = one.iter().filter(|start| other.contains(start)).count();
    assert!((10..25).contains(&one.len()), "{} mappings", one.len());
    assert_eq!(shared, 0, "of {one:?}, {other:?}");
}
