//! Nodes on this machine, for tests: everything between them is real, the node itself is an inbox.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::heaps::Keeper;
use crate::http::TlsFiles;
use crate::place;
use crate::raft::core::{Event, Failure};
use crate::raft::ids::{ClusterId, Incarnation};
use crate::raft::packet::Packet;
use crate::raft::request::MemberChange;
use crate::raft::state::Members;

pub(super) const CLUSTER: ClusterId = ClusterId([1; 16]);
pub(super) const SECRET: [u8; 32] = [0x5a; 32];

/// Longer than anything takes that is to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What nodes are told by their operators.
pub(super) fn config(name: &str, trust: Trust) -> ClusterConfig {
    let listen = place::reserve();
    ClusterConfig {
        listen,
        name: name.parse().unwrap(),
        advertise: listen.to_string().parse().unwrap(),
        begin: Begin::Alone,
        forces_new: false,
        times: Times {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(500),
        },
        trust,
        is_status_public: false,
    }
}

pub(super) fn peer(config: &ClusterConfig) -> Peer {
    let life = Incarnation([7; 16]);
    Peer::new(config.name.clone(), life, config.advertise.clone())
}

pub(super) fn members(peers: &[Peer]) -> Members {
    Members {
        present: peers.iter().map(|peer| peer.as_member(false)).collect(),
        removed: Vec::new(),
    }
}

/// A secret in a file that only its owner can read.
pub(super) fn secret_file(home: &Path, secret: [u8; 32]) -> Trust {
    let path = home.join("secret");
    fs::write(&path, format!("{}\n", crate::hex::Hex(&secret))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Trust::Secret(path)
}

/// Those who sign certificates of nodes.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    home: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let home = tempfile::tempdir().unwrap();
        let own = params.self_signed(&key).unwrap();
        fs::write(home.path().join("ca.pem"), own.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            home,
        }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.home.path().join("ca.pem")
    }

    /// A certificate of this name.
    pub(super) fn sign(&self, name: &str) -> Trust {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let own = TlsFiles {
            certificate: self.home.path().join(format!("{name}.pem")),
            key: self.home.path().join(format!("{name}.key")),
        };
        fs::write(&own.certificate, made.pem()).unwrap();
        fs::write(&own.key, key.serialize_pem()).unwrap();
        Trust::Tls {
            own,
            authorities: self.file(),
        }
    }
}

/// Does every change that it is asked for.
#[derive(Debug, Default)]
pub(super) struct Obedient(pub(super) Mutex<Vec<MemberChange>>);

#[async_trait::async_trait]
impl ClusterControl for Obedient {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            role: Role::Follower,
            term: 4,
            leader: None,
            commit_index: 9,
            last_applied: 8,
            log_length: 7,
        }
    }

    async fn change(&self, change: MemberChange) -> Result<(), Failure> {
        self.0.lock().unwrap().push(change);
        Ok(())
    }
}

/// Answers questions: what begins with `echo` with itself, what begins with `wait` never, what is a number
/// with that many bytes, and what is `sleep` and a number after so many seconds.
#[derive(Debug, Default)]
pub(super) struct Talkative {
    /// Questions that have come.
    pub(super) asked: AtomicUsize,
    /// Questions that are being answered.
    pub(super) in_hand: Arc<AtomicUsize>,
}

struct InHand(Arc<AtomicUsize>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Answers for Talkative {
    async fn answer(&self, question: Bytes) -> Bytes {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        let _in_hand = InHand(Arc::clone(&self.in_hand));
        self.asked.fetch_add(1, Ordering::SeqCst);
        if question.starts_with(b"echo") {
            return question;
        }
        let text = std::str::from_utf8(&question).unwrap();
        if let Some(secs) = text.strip_prefix("sleep") {
            sleep(Duration::from_secs(secs.parse().unwrap())).await;
            return question;
        }
        match text.parse() {
            Ok(bytes) => vec![7; bytes].into(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// A node.
pub(super) struct Stand {
    pub(super) endpoint: Endpoint,
    pub(super) transport: Transport,
    pub(super) inbox: Inbox,
    pub(super) control: Arc<Obedient>,
    pub(super) answers: Arc<Talkative>,
    pub(super) home: TempDir,
}

impl Stand {
    pub(super) fn open(config: &ClusterConfig, members: Members) -> Self {
        Self::open_with(config, members, None)
    }

    /// A node with heaps.
    pub(super) fn open_with(
        config: &ClusterConfig,
        members: Members,
        heaps: Option<Keeper>,
    ) -> Self {
        let endpoint = Endpoint::open(config, Incarnation([7; 16])).unwrap();
        let home = tempfile::tempdir().unwrap();
        let inbox = Inbox::new();
        let control = Arc::new(Obedient::default());
        let transport = endpoint.found(CLUSTER, &members).unwrap();
        let answers = Arc::new(Talkative::default());
        let parts = Parts {
            inbox: inbox.clone(),
            control: Arc::clone(&control) as Arc<dyn ClusterControl>,
            answers: Arc::clone(&answers) as Arc<dyn Answers>,
            heaps,
            snapshots: home.path().join("snapshots"),
        };
        endpoint.enter(parts).unwrap();
        Self {
            endpoint,
            transport,
            inbox,
            control,
            answers,
            home,
        }
    }

    /// What has happened so far.
    pub(super) fn events(&self) -> Vec<Event> {
        self.inbox.take(Instant::now()).events
    }

    pub(super) async fn close(self) {
        drop(self.transport);
        self.endpoint.close().await;
    }
}

/// Waits until this has come, and gives all that has come till then.
pub(super) async fn until(inbox: &Inbox, is_enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let began = Instant::now();
    let mut events = Vec::new();
    while !is_enough(&events) {
        assert!(began.elapsed() < PATIENCE, "only this came: {events:?}");
        events.extend(inbox.take(Instant::now()).events);
        sleep(Duration::from_millis(2)).await;
    }
    events
}

/// A packet between these two.
pub(super) fn between(from: &Peer, to: &Peer, mut packet: Packet) -> Packet {
    packet.cluster = CLUSTER;
    (packet.from, packet.incarnation) = (from.id, from.incarnation);
    packet.to = to.id;
    super::sample_tests::address(&mut packet);
    packet
}

/// Only the packets.
pub(super) fn packets(events: Vec<Event>) -> Vec<Packet> {
    let packets = events.into_iter().filter_map(|event| match event {
        Event::Packet(packet) => Some(packet),
        _ => None,
    });
    packets.collect()
}
