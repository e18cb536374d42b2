//! A network of real packets: each node has a network namespace of its own, with two cables. One leads to a
//! bridge that only nodes are on, and is what breaks; the other leads to whoever asks nodes something.
//!
//! What does not pass vanishes here: nothing is reset, and nobody is told. The whole network lives in the
//! namespace of one thread, and is gone with it, however that ends: the machine's own is never touched. It
//! takes root, and the command `ip`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// The network of the bridge that breaks, and that of those who ask.
const PEERS_NET: [u8; 3] = [10, 77, 0];
const CLIENTS_NET: [u8; 3] = [10, 78, 0];
/// Who asks has this number there.
const CLIENT_NUMBER: u8 = 254;
/// Where nodes listen: each has addresses of its own.
const HTTP_PORT: u16 = 3000;
const CLUSTER_PORT: u16 = 4000;
/// Rules of routing are asked in the order of these numbers: what is ignored before what is heard.
const IGNORED_PREFERENCE: u32 = 50;
const HEARD_PREFERENCE: u32 = 100;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NoLan {
    /// The system gives no namespace.
    #[error("there is no network namespace to be had: {0}")]
    Namespace(#[from] nix::Error),
    /// Something is missing.
    #[error("no network can be made: {0}")]
    Command(#[from] io::Error),
}

/// A network. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Lan {
    hub: Namespace,
    last: Arc<AtomicU8>,
}

/// One node's place on it.
#[derive(Debug)]
pub struct Room {
    number: u8,
    own: Namespace,
    hub: Namespace,
}

/// A network namespace, which is there for as long as this is.
#[derive(Debug, Clone)]
struct Namespace(Arc<File>);

/// Runs something in a thread that has a network for nodes, and no other.
///
/// # Errors
/// Where such a network cannot be had, before anything has run.
pub fn on_a_lan(runs: impl FnOnce(Lan) + Send) -> Result<(), NoLan> {
    apart(|| {
        let lan = Lan::make()?;
        // Not before it is known to work.
        drop(lan.furnish()?);
        runs(lan);
        Ok(())
    })
}

impl Lan {
    /// Makes one, in which the calling thread is from now on.
    fn make() -> Result<Self, NoLan> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let hub = Namespace::of_this_thread()?;
        let [a, b, c] = CLIENTS_NET;
        ip(&format!(
            "link set lo up\n\
             link add peers type bridge\n\
             link set peers up\n\
             link add clients type bridge\n\
             link set clients up\n\
             addr add {a}.{b}.{c}.{CLIENT_NUMBER}/24 dev clients\n"
        ))?;
        Ok(Self {
            hub,
            last: Arc::default(),
        })
    }

    /// A new place on it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn furnish(&self) -> Result<Room, NoLan> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let own = apart(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok::<_, NoLan>(Namespace::of_this_thread()?)
        })?;
        let room = Room {
            number,
            own,
            hub: self.hub.clone(),
        };
        let (peer, client) = (room.peer_ip(), room.client_ip());
        let hub = room.hub.path();
        room.ip(&format!(
            "link set lo up\n\
             link add peers type veth peer name peer{number} netns {hub}\n\
             link add clients type veth peer name client{number} netns {hub}\n\
             addr add {peer}/24 dev peers\n\
             addr add {client}/24 dev clients\n\
             link set peers up\n\
             link set clients up\n\
             rule add pref {HEARD_PREFERENCE} lookup local\n\
             rule del pref 0\n"
        ))?;
        room.hub.within(|| {
            ip(&format!(
                "link set peer{number} master peers up\n\
                 link set client{number} master clients up\n"
            ))
        })?;
        Ok(room)
    }
}

impl Room {
    /// Starts a program in it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.own.within(|| command.spawn())
    }

    /// Where clients reach a node that is here.
    pub fn http(&self) -> SocketAddr {
        (self.client_ip(), HTTP_PORT).into()
    }

    /// Where whoever looks after nodes reaches it.
    pub fn port(&self) -> SocketAddr {
        (self.client_ip(), CLUSTER_PORT).into()
    }

    /// Where other nodes reach it.
    pub fn advertised(&self) -> SocketAddr {
        (self.peer_ip(), CLUSTER_PORT).into()
    }

    /// Pulls the cable to the other nodes out of the bridge. The node's end sees that nothing is at the other
    /// one, and sends nothing; the others' ends see nothing.
    pub fn pull(&self) {
        self.at_the_hub(&format!("link set peer{} down\n", self.number));
    }

    /// Puts it in again.
    pub fn plug(&self) {
        self.at_the_hub(&format!("link set peer{} up\n", self.number));
    }

    /// From now on all that comes from another one vanishes; what goes there arrives.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn ignore(&self, other: &Self) {
        let from = other.peer_ip();
        self.ip(&format!(
            "rule add pref {IGNORED_PREFERENCE} from {from} blackhole\n"
        ))
        .expect("it is our namespace");
    }

    /// From now on all is heard again that comes from there.
    ///
    /// # Panics
    /// When it was not ignored.
    pub fn heed(&self, other: &Self) {
        let from = other.peer_ip();
        self.ip(&format!(
            "rule del pref {IGNORED_PREFERENCE} from {from} blackhole\n"
        ))
        .expect("it was ignored");
    }

    /// Packets that have come, and were ignored.
    pub fn ignored(&self) -> u64 {
        self.counted("Ip", "InAddrErrors")
    }

    /// Packets that were sent again, because nobody said that they had come.
    pub fn sent_again(&self) -> u64 {
        self.counted("Tcp", "RetransSegs")
    }

    fn counted(&self, protocol: &str, name: &str) -> u64 {
        let read = || fs::read_to_string("/proc/thread-self/net/snmp");
        let table = self.own.within(read).expect("every Linux has it");
        let mut lines = table.lines().filter_map(|line| {
            let rest = line.strip_prefix(protocol)?.strip_prefix(':')?;
            Some(rest.split_whitespace())
        });
        let (names, values) = (lines.next(), lines.next());
        let pairs = names
            .into_iter()
            .flatten()
            .zip(values.into_iter().flatten());
        let mut found = pairs.filter(|(found, _)| *found == name);
        let value = found.next().and_then(|(_, value)| value.parse().ok());
        value.unwrap_or_else(|| panic!("there is no {protocol} {name} in {table}"))
    }

    fn peer_ip(&self) -> Ipv4Addr {
        let [a, b, c] = PEERS_NET;
        [a, b, c, self.number].into()
    }

    fn client_ip(&self) -> Ipv4Addr {
        let [a, b, c] = CLIENTS_NET;
        [a, b, c, self.number].into()
    }

    fn ip(&self, script: &str) -> io::Result<()> {
        self.own.within(|| ip(script))
    }

    fn at_the_hub(&self, script: &str) {
        self.hub.within(|| ip(script)).expect("it is our namespace");
    }
}

impl Namespace {
    fn of_this_thread() -> io::Result<Self> {
        let file = File::open("/proc/thread-self/ns/net")?;
        Ok(Self(Arc::new(file)))
    }

    /// Runs something in it.
    fn within<T: Send>(&self, runs: impl FnOnce() -> T + Send) -> T {
        apart(|| {
            setns(&*self.0, CloneFlags::CLONE_NEWNET).expect("it is ours");
            runs()
        })
    }

    /// Where other programs find it, while this one runs.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }
}

/// Runs something in a thread of its own: a thread that has moved to another namespace is good for nothing else.
fn apart<T: Send>(runs: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let ran = scope.spawn(runs).join();
        ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Has `ip` do all of this in the namespace of the calling thread.
fn ip(script: &str) -> io::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    written?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("ip: {}", said.trim())));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::print_stderr, reason = "a test says that it was skipped")]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn hear(stream: &mut TcpStream, patience: Duration) -> io::Result<u8> {
        let mut byte = [0];
        stream.set_read_timeout(Some(patience))?;
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn try_all(lan: &Lan) {
        let (one, other) = (lan.furnish().unwrap(), lan.furnish().unwrap());
        let listener = other.own.within(|| TcpListener::bind(other.advertised()));
        let listener = listener.unwrap();
        let connected = one.own.within(|| TcpStream::connect(other.advertised()));
        let mut there = connected.unwrap();
        let mut here = listener.accept().unwrap().0;
        there.write_all(b"a").unwrap();
        assert_eq!(hear(&mut here, PATIENCE).unwrap(), b'a');

        other.ignore(&one);
        there.write_all(b"b").unwrap();
        assert_eq!(
            hear(&mut here, SOON).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(other.ignored() > 0 && one.sent_again() > 0);
        other.heed(&one);
        assert_eq!(hear(&mut here, PATIENCE).unwrap(), b'b');

        let before = other.sent_again();
        one.pull();
        here.write_all(b"c").unwrap();
        assert_eq!(
            hear(&mut there, SOON).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(other.sent_again() > before);
        // Clients have another cable.
        let listener = one.own.within(|| TcpListener::bind(one.http())).unwrap();
        TcpStream::connect(one.http()).unwrap();
        listener.accept().unwrap();
        one.plug();
        assert_eq!(hear(&mut there, PATIENCE).unwrap(), b'c');
    }

    #[test]
    fn packets_vanish_and_nobody_is_told() {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let links = fs::read_to_string("/proc/net/dev").unwrap().lines().count();
        if let Err(error) = on_a_lan(|lan| try_all(&lan)) {
            eprintln!("skipped: {error}");
        }
        assert_eq!(fs::read_link("/proc/self/ns/net").unwrap(), own);
        let left = fs::read_to_string("/proc/net/dev").unwrap().lines().count();
        assert_eq!(left, links, "the machine has other interfaces than before");
    }
}
