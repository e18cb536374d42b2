//! What lies between the nodes: whoever speaks to a node comes through here, so that each direction of
//! each pair can fail by itself, without root.
//!
//! A node has one address for all others. Who asks is found by whose socket it is, in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{self, setsockopt, sockopt};

/// What is carried at once.
const PIECE_BYTES: usize = 64 << 10;

/// Connections that one node opens to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// Who opens them; empty for somebody who is no node.
    pub from: String,
    /// To whom.
    pub to: String,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes, and nobody is told. What was sent comes when it heals, late.
    Silent,
    /// Questions pass, and answers do not: what is asked for is done, and nobody hears of it.
    HalfOpen,
    /// Connections are reset, and so is each new one.
    Reset,
    /// All that passes is late.
    Slow(Duration),
}

/// All links. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Network(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    faults: HashMap<Link, Fault>,
    /// Which process is which node.
    processes: HashMap<i32, String>,
    open: Vec<Weak<Connection>>,
    /// How often something did not pass as it should.
    struck: HashMap<Link, u64>,
}

#[derive(Debug)]
struct Connection {
    link: Link,
    asked: TcpStream,
    asker: TcpStream,
    is_reset: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Question,
    Answer,
}

/// Where one node is reached.
#[derive(Debug)]
pub struct Entrance {
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Carries to `target` what comes for the node of this name.
    ///
    /// # Panics
    /// When it cannot listen at `address`.
    pub fn open(&self, to: &str, address: SocketAddr, target: SocketAddr) -> Entrance {
        let listener = TcpListener::bind(address).expect("nobody else has this address");
        let listener = Arc::new(listener);
        let (network, to, accepting) = (self.clone(), to.to_owned(), Arc::clone(&listener));
        let thread = thread::spawn(move || {
            while let Ok((asker, _)) = accepting.accept() {
                let (network, to) = (network.clone(), to.clone());
                thread::spawn(move || network.carry(to, asker, (address, target)));
            }
        });
        Entrance {
            listener,
            thread: Some(thread),
        }
    }

    /// Takes note of which process a node is.
    pub fn is_process(&self, name: &str, pid: i32) {
        let mut state = self.state();
        state.processes.retain(|_, known| known != name);
        state.processes.insert(pid, name.to_owned());
    }

    /// Breaks a link, in one direction.
    pub fn break_link(&self, from: &str, to: &str, fault: Fault) {
        let link = Link {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let mut state = self.state();
        if fault == Fault::Reset {
            let mut resets = 0;
            for connection in state.open.iter().filter_map(Weak::upgrade) {
                if connection.link == link {
                    connection.reset();
                    resets += 1;
                }
            }
            *state.struck.entry(link.clone()).or_default() += resets;
        }
        state.faults.insert(link, fault);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Breaks all links between these nodes and those, in both directions.
    pub fn part(&self, these: &[&str], those: &[&str], fault: Fault) {
        for one in these {
            for other in those {
                self.break_link(one, other, fault);
                self.break_link(other, one, fault);
            }
        }
    }

    /// Mends everything.
    pub fn heal(&self) {
        self.state().faults.clear();
        self.0.changed.notify_all();
    }

    /// How often faults have struck so far, on links that lead to or from a node.
    pub fn struck(&self, name: &str) -> u64 {
        let state = self.state();
        let of_node = |(link, _): &(&Link, &u64)| link.from == name || link.to == name;
        let struck = state.struck.iter().filter(of_node);
        struck.map(|(_, times)| times).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, to: String, asker: TcpStream, (own, target): (SocketAddr, SocketAddr)) {
        let link = Link {
            from: self.who(&asker, own).unwrap_or_default(),
            to,
        };
        // Nobody hears of a connection that does not come through.
        if self.pass(&link, Way::Question).is_none() {
            reset(&asker);
            return;
        }
        let Ok(asked) = TcpStream::connect(target) else {
            return;
        };
        let _ = (asked.set_nodelay(true), asker.set_nodelay(true));
        let connection = Arc::new(Connection {
            link,
            asked,
            asker,
            is_reset: AtomicBool::new(false),
        });
        let mut state = self.state();
        state.open.retain(|one| one.strong_count() > 0);
        state.open.push(Arc::downgrade(&connection));
        drop(state);
        thread::scope(|scope| {
            scope.spawn(|| self.pump(&connection, Way::Question));
            self.pump(&connection, Way::Answer);
        });
    }

    fn pump(&self, connection: &Connection, way: Way) {
        let (mut from, mut to) = match way {
            Way::Question => (&connection.asker, &connection.asked),
            Way::Answer => (&connection.asked, &connection.asker),
        };
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            let Some(late) = self.pass(&connection.link, way) else {
                connection.reset();
                return;
            };
            thread::sleep(late);
            if to.write_all(&piece[..read]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
        // The end of a connection that is reset says nothing more.
        if !connection.is_reset.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Waits until something may pass: how late it is; `None` when its connection is reset.
    fn pass(&self, link: &Link, way: Way) -> Option<Duration> {
        let mut state = self.state();
        let mut has_struck = false;
        loop {
            let fault = state.faults.get(link).copied();
            if fault.is_some() && !has_struck {
                has_struck = true;
                *state.struck.entry(link.clone()).or_default() += 1;
            }
            match (fault, way) {
                (None, _) | (Some(Fault::HalfOpen), Way::Question) => return Some(Duration::ZERO),
                (Some(Fault::Slow(late)), _) => return Some(late),
                (Some(Fault::Reset), _) => return None,
                (Some(Fault::Silent | Fault::HalfOpen), _) => {
                    let waited = self.0.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The node whose socket is at the other end.
    fn who(&self, asker: &TcpStream, own: SocketAddr) -> Option<String> {
        let inode = inode(asker.peer_addr().ok()?, own)?;
        let wanted = format!("socket:[{inode}]");
        let processes = self.state().processes.clone();
        let has = |pid: &i32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten();
            let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            targets.any(|target| target.to_string_lossy() == wanted)
        };
        processes
            .into_iter()
            .find(|(pid, _)| has(pid))
            .map(|(_, name)| name)
    }
}

impl Connection {
    fn reset(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
        reset(&self.asked);
        reset(&self.asker);
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Read);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends a connection without a word: nothing that waits is sent.
fn reset(stream: &TcpStream) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let _ = setsockopt(stream, sockopt::Linger, &at_once);
    let _ = stream.shutdown(Shutdown::Read);
}

/// The number of the socket that is bound to `local` and connected to `remote`.
fn inode(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let (local, remote) = (as_in_table(local)?, as_in_table(remote)?);
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()? == local && fields.next()? == remote;
        is_it.then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

/// An address as the kernel's table has it.
fn as_in_table(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else {
        return None;
    };
    let number = u32::from_ne_bytes(ip.octets());
    Some(format!("{number:08X}:{:04X}", address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::place::reserve;
    use std::io::ErrorKind;

    const SOON: Duration = Duration::from_millis(200);

    /// A network with one node, which sends back what it is sent, and this process as another.
    fn scene() -> (Network, Entrance, SocketAddr) {
        let (own, target) = (reserve(), reserve());
        let echo = TcpListener::bind(target).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = echo.accept() {
                thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        let network = Network::default();
        network.is_process("me", std::process::id().cast_signed());
        let entrance = network.open("echo", own, target);
        (network, entrance, own)
    }

    fn connect(to: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn hear(stream: &mut TcpStream) -> Result<u8, ErrorKind> {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => Err(ErrorKind::UnexpectedEof),
            Ok(_) => Ok(byte[0]),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn what_is_held_back_comes_when_the_link_heals() {
        for fault in [Fault::Silent, Fault::HalfOpen] {
            let (network, _entrance, to) = scene();
            let mut stream = connect(to);
            stream.write_all(b"a").unwrap();
            assert_eq!(hear(&mut stream), Ok(b'a'));
            network.break_link("me", "echo", fault);
            stream.write_all(b"b").unwrap();
            assert_eq!(hear(&mut stream), Err(ErrorKind::WouldBlock));
            assert!(network.struck("me") > 0);
            // Nor does a new connection come through.
            let mut other = connect(to);
            other.write_all(b"c").unwrap();
            assert_eq!(hear(&mut other), Err(ErrorKind::WouldBlock));
            network.heal();
            assert_eq!(hear(&mut stream), Ok(b'b'));
            assert_eq!(hear(&mut other), Ok(b'c'));
        }
    }

    #[test]
    fn connections_are_reset_and_others_are_left_alone() {
        let (network, _entrance, to) = scene();
        let mut stream = connect(to);
        stream.write_all(b"a").unwrap();
        assert_eq!(hear(&mut stream), Ok(b'a'));
        network.break_link("you", "echo", Fault::Reset);
        network.break_link("echo", "me", Fault::Reset);
        stream.write_all(b"b").unwrap();
        assert_eq!(hear(&mut stream), Ok(b'b'), "it is somebody else's link");
        network.break_link("me", "echo", Fault::Reset);
        assert_eq!(hear(&mut stream), Err(ErrorKind::ConnectionReset));
        let mut other = connect(to);
        assert_eq!(hear(&mut other), Err(ErrorKind::ConnectionReset));
        network.heal();
        let mut other = connect(to);
        other.write_all(b"c").unwrap();
        assert_eq!(hear(&mut other), Ok(b'c'));
    }

    #[test]
    fn what_is_slow_is_late() {
        let (network, _entrance, to) = scene();
        network.break_link("me", "echo", Fault::Slow(SOON / 4));
        let mut stream = connect(to);
        let begin = std::time::Instant::now();
        stream.write_all(b"a").unwrap();
        assert_eq!(hear(&mut stream), Ok(b'a'));
        assert!(begin.elapsed() >= SOON / 2, "question and answer");
    }
}
