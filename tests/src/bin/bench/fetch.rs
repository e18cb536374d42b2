//! Requests of scripts over HTTP, beside the same requests of bare clients.
//!
//! The other end is a thread of this program on the loopback interface. One bare client is hyper's, which the
//! server uses too, in a program of its own; the other writes and reads bytes on one open connection, without
//! a library: nothing can be faster.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::home::{Home, program};
use e2e::processes;
use e2e::server::Server;
use serde_json::{Value, json};

use crate::http::wire::{self, Connection};
use crate::server::{cpu, start_stateless};
use crate::statistics::{Distribution, ratio, rounded};

/// The example of the supervisor's crate that only decides.
const DECIDE: &str = "examples/decide";
/// The one that only makes requests.
const BARE_CLIENT: &str = "examples/bare_client";
/// Requests, and decisions, one after another.
const SAMPLES: usize = 1000;
/// Of a long body.
const BODY_BYTES: u64 = 100 << 20;
/// What the other end writes at once.
const PIECE_BYTES: usize = 64 << 10;
/// V8's heap of the script that a long body passes through, in MB.
const SMALL_HEAP_MB: u64 = 8;
/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

const POLICY: &str = "package mcp.fetch\n\
    default allow := false\n\
    allow if { input.method in {\"GET\", \"POST\"}; input.url_parsed.host == \"127.0.0.1\" }\n";

/// Measures it all.
pub(crate) fn measure() -> Value {
    let address = serve();
    let home = Home::new();
    let policies = home.path("policies");
    std::fs::create_dir(&policies).expect("a directory of our own");
    std::fs::write(policies.join("fetch.rego"), POLICY).expect("a file of our own");
    let directory = policies.to_str().expect("a plain name");
    let mut server = start_stateless(&home, &["--policy-dir", directory, "--fetch-allow-private"]);
    let raw = raw_requests(address);
    let url = format!("http://{address}/small");
    let bare = times_of(BARE_CLIENT, &url);
    let small = script_requests(&mut server, address);
    let decision = times_of(DECIDE, directory);
    let long = long_body(&mut server, address);
    server.finish();
    json!({
        "get_ms": {
            "value": small.json(),
            "floor": {
                "what": "the same GET of hyper's client on one open connection",
                "value": bare.json(),
            },
            "raw_floor": {
                "what": "the same of a client without a library",
                "value": raw.json(),
            },
            "overhead_p50_ms": rounded(small.p50_ms() - bare.p50_ms()),
        },
        "decision_ms": {
            "what": "one evaluation of the policy, without request and worker",
            "value": decision.json(),
        },
        "long_body": long,
    })
}

fn raw_requests(address: SocketAddr) -> Distribution {
    let mut connection = Connection::new(address);
    let request = wire::get(address, "/small", None);
    let measured = (0..SAMPLES).map(|_| {
        let begin = Instant::now();
        let answer = connection.ask(&request).expect("it answers");
        assert_eq!(answer.status, 200);
        begin.elapsed()
    });
    Distribution::new(measured.collect())
}

fn script_requests(server: &mut Server, address: SocketAddr) -> Distribution {
    let code = format!(
        "const times = [];\n\
         for (let n = 0; n < {SAMPLES}; n++) {{\n\
           const begin = performance.now();\n\
           await (await fetch('http://{address}/small')).text();\n\
           times.push(performance.now() - begin);\n\
         }}\n\
         JSON.stringify(times)"
    );
    let times: Vec<f64> = serde_json::from_str(&run(server, &code)).expect("a list of numbers");
    let times = times
        .into_iter()
        .map(|time| Duration::from_secs_f64(time / 1000.0));
    Distribution::new(times.collect())
}

/// What a program of the supervisor's crate has measured, which is told what about.
fn times_of(example: &str, about: &str) -> Distribution {
    let output = Command::new(program(example))
        .args([about, &SAMPLES.to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("it can be executed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it writes numbers");
    let nanos = text.lines().map(|line| line.parse().expect("a number"));
    Distribution::new(nanos.map(Duration::from_nanos).collect())
}

/// A body passes through a script that keeps none of it.
fn long_body(server: &mut Server, address: SocketAddr) -> Value {
    let begin = Instant::now();
    let floor_bytes = read_plainly(address).expect("it answers");
    let floor = begin.elapsed();
    assert_eq!(floor_bytes, BODY_BYTES);
    let code = format!(
        "let bytes = 0;\n\
         for await (const piece of (await fetch('http://{address}/long')).body) bytes += piece.length;\n\
         bytes"
    );
    let pid = server.pid();
    let at_rest = processes::usage(pid).resident_bytes;
    let before = cpu(pid);
    let is_over = AtomicBool::new(false);
    let (took, most) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let workers = processes::descendants(pid);
                let largest = workers.iter().map(|worker| resident(worker.pid)).max();
                most.0 = most.0.max(processes::usage(pid).resident_bytes);
                most.1 = most.1.max(largest.unwrap_or_default());
                thread::sleep(LOOK_INTERVAL);
            }
            most
        });
        let begin = Instant::now();
        assert_eq!(run(server, &code), BODY_BYTES.to_string());
        let took = begin.elapsed();
        is_over.store(true, Ordering::Relaxed);
        (took, watcher.join().expect("no panic"))
    });
    let after = cpu(pid);
    let megabytes_a_second =
        |took: Duration| rounded(BODY_BYTES as f64 / f64::from(1 << 20) / took.as_secs_f64());
    let (value, floor) = (megabytes_a_second(took), megabytes_a_second(floor));
    json!({
        "bytes": BODY_BYTES,
        "heap_mb": SMALL_HEAP_MB,
        "mb_per_sec": value,
        "floor": {"what": "the same of a bare client", "value": floor},
        "of_floor": ratio(value, floor),
        "server_bytes": {"at_rest": at_rest, "most": most.0},
        "worker_bytes_most": most.1,
        "cpu_secs": {
            "server": rounded(after.own_secs - before.own_secs),
            "worker": rounded(after.beneath_secs - before.beneath_secs),
        },
    })
}

fn run(server: &mut Server, code: &str) -> String {
    let arguments = json!({
        "code": code, "wait_ms": 50_000, "execution_timeout_secs": 60,
        "heap_memory_max_mb": SMALL_HEAP_MB,
    });
    let seen = server.call("run_js", arguments);
    let result = seen["result"].as_str();
    result.unwrap_or_else(|| panic!("{seen}")).to_owned()
}

/// Memory of a process that is resident, in bytes; 0 when it has ended.
fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Reads the long body as fast as it comes.
fn read_plainly(address: SocketAddr) -> io::Result<u64> {
    let mut stream = BufReader::with_capacity(PIECE_BYTES, TcpStream::connect(address)?);
    stream
        .get_mut()
        .write_all(&wire::get(address, "/long", None))?;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line)?;
    }
    io::copy(&mut stream.take(BODY_BYTES), &mut io::sink())
}

/// The other end. It lives as long as this program.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who goes away has what it wanted.
            thread::spawn(move || answer(&stream));
        }
    });
    address
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut requests, mut answers) = (BufReader::new(stream), stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if requests.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        if head.starts_with("GET /long ") {
            write!(
                answers,
                "HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
            )?;
            io::copy(
                &mut Zeroes.take(BODY_BYTES),
                &mut io::BufWriter::with_capacity(PIECE_BYTES, answers),
            )?;
        } else {
            answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
    }
}

struct Zeroes;

impl Read for Zeroes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }
}
