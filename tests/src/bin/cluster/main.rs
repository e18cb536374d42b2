//! Some nodes of a cluster and a balancer before them on this machine, for trying out, until it is
//! interrupted. Nodes that end are started again, as a service manager would. `scripts/cluster` builds what
//! it needs and runs it.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use e2e::cluster::balancer::Balancer;
use e2e::cluster::{Cluster, Setup, TIMES_DEFAULT};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Where clients reach the balancer, when nobody says.
const PORT_DEFAULT: u16 = 3000;
/// How many nodes there are, when nobody says.
const NODES_DEFAULT: usize = 3;
/// As many as have letters.
const NODES_MAX: usize = 7;
/// From one look at the nodes to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

const USAGE: &str = "[--nodes N] [--port PORT] [-- flags of mcp-v8]";

/// What is asked for.
struct Arguments {
    nodes: usize,
    port: u16,
    flags: Vec<String>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self {
            nodes: NODES_DEFAULT,
            port: PORT_DEFAULT,
            flags: Vec::new(),
        };
        while let Some(word) = words.next() {
            let usage = || format!("{USAGE}; found: {word}");
            match word.as_str() {
                "--" => read.flags = words.by_ref().collect(),
                "--nodes" => {
                    let number = words.next().and_then(|text| text.parse().ok());
                    let number = number.filter(|number| (1..=NODES_MAX).contains(number));
                    read.nodes = number.ok_or_else(usage)?;
                }
                "--port" => {
                    let port = words.next().and_then(|text| text.parse().ok());
                    read.port = port.ok_or_else(usage)?;
                }
                _ => return Err(usage()),
            }
        }
        Ok(read)
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1)).map_err(io::Error::other)?;
    // Before the first thread, so that no thread takes them.
    let ends: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    ends.thread_block()?;
    let interrupted = SignalFd::with_flags(&ends, SfdFlags::SFD_NONBLOCK)?;
    let mut out = io::stdout();
    writeln!(out, "starting {} nodes", arguments.nodes)?;
    let mut cluster = Cluster::prepare(&Setup {
        nodes: arguments.nodes,
        times: TIMES_DEFAULT,
        arguments: arguments.flags,
        ..Setup::default()
    });
    for name in cluster.names() {
        start(&mut cluster, &name, &ends)?;
    }
    cluster.await_ready();
    let nodes: Vec<SocketAddr> = cluster.nodes().iter().map(|node| node.http).collect();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let balancer = Balancer::start(address, &nodes)?;
    tell(&cluster, &balancer)?;
    while interrupted.read_signal()?.is_none() {
        for name in cluster.names() {
            if cluster.node_mut(&name).has_ended() {
                let status = cluster.node_mut(&name).await_end();
                start(&mut cluster, &name, &ends)?;
                let pid = cluster.node(&name).pid();
                writeln!(
                    out,
                    "{name} has ended ({status}); it runs again as process {pid}"
                )?;
            }
        }
        thread::sleep(LOOK_INTERVAL);
    }
    writeln!(out, "ending")?;
    cluster.finish();
    Ok(())
}

/// Starts a node, which must hear the signals that this thread does not.
fn start(cluster: &mut Cluster, name: &str, ends: &SigSet) -> io::Result<()> {
    ends.thread_unblock()?;
    cluster.node_mut(name).start();
    Ok(ends.thread_block()?)
}

/// Says where everything is.
fn tell(cluster: &Cluster, balancer: &Balancer) -> io::Result<()> {
    let address = balancer.address();
    let mut out = io::stdout();
    writeln!(
        out,
        "\nclients: http://{address} (MCP at /mcp, REST at /api, console at /console)\n"
    )?;
    writeln!(out, "{:5} {:8} {:28} directory", "node", "process", "alone")?;
    for node in cluster.nodes() {
        let alone = format!("http://{}", node.http);
        let directory = node.home.path("");
        let (name, pid) = (&node.name, node.pid());
        writeln!(out, "{name:5} {pid:8} {alone:28} {}", directory.display())?;
    }
    writeln!(
        out,
        "\n{} leads. Its log and those of the others are in `log` in their directories.",
        cluster.leader()
    )?;
    writeln!(
        out,
        "\ncurl -s http://{address}/api/exec -H 'content-type: application/json' \
         -d '{{\"code\": \"1 + 1\", \"session\": \"s\", \"wait_ms\": 5000}}'\n\
         kill -9 {}    # it is started again; meanwhile the others answer\n\n\
         Ctrl-C ends all of it, and removes what was kept.",
        cluster.node("a").pid()
    )
}
