//! Those who are no nodes, or lie about which: nothing of what they send is taken, and others are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::batch;
use super::local::now_secs;
use super::routes::{
    ASK, HEALTH, HEAPS, HELLO, JOIN, LEAVE, PACKETS, SNAPSHOT_FINISH, SNAPSHOT_OFFER,
    SNAPSHOT_PIECE, STATUS,
};
use super::sample_tests::{message, packed, packet};
use super::stand_tests::*;
use super::trust::head::{Claims, Stamp};
use super::trust::secret::Secret;
use super::trust::sessions::Nonce;
use super::{Outbox as _, Peer, Trust};
use crate::limits::{
    BATCH_BYTES_MAX, PEER_BODY_WAIT_MAX, PEER_CLOCK_SKEW_MAX, STRANGER_CONNECTIONS_MAX,
};
use crate::raft::core::Event;
use crate::raft::ids::{ClusterId, RaftId};

/// Somebody who knows how nodes speak.
pub(super) struct Sender {
    claims: Claims,
    secret: Secret,
    time: u64,
    nonce: Nonce,
}

impl Sender {
    pub(super) fn new(me: &Peer, to: &Peer) -> Self {
        let mut session = [0; 16];
        getrandom::fill(&mut session).unwrap();
        Self {
            claims: Claims {
                cluster: Some(CLUSTER),
                from: Some(me.clone()),
                to: Some(to.id),
            },
            secret: Secret::new(&SECRET),
            time: now_secs(),
            nonce: Nonce { session, number: 0 },
        }
    }

    pub(super) fn head(&mut self, method: &Method, path: &str, body: &[u8]) -> HeaderMap {
        self.nonce.number += 1;
        let mut headers = HeaderMap::new();
        self.claims.write(&mut headers);
        let stamp = Stamp {
            time: self.time,
            nonce: self.nonce,
            body: Sha256::digest(body).into(),
        };
        stamp.write(&mut headers);
        self.secret.sign(method, path, &mut headers);
        headers
    }

    /// The whole request.
    pub(super) fn request(&mut self, method: &Method, path: &str, body: &[u8]) -> Vec<u8> {
        let headers = self.head(method, path, body);
        written(method, path, &headers, body)
    }

    pub(super) async fn ask(&mut self, to: SocketAddr, path: &str, body: &[u8]) -> u16 {
        let request = self.request(&Method::POST, path, body);
        say(TcpStream::connect(to).await.unwrap(), &request).await
    }
}

pub(super) fn written(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// Says this, and gives the status of the answer; 0 where the connection is cut instead.
pub(super) async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> u16 {
    // Whoever is refused may be cut off before all is said.
    let _ = stream.write_all(request).await;
    heard(&mut stream).await
}

pub(super) async fn heard(stream: &mut (impl AsyncRead + Unpin)) -> u16 {
    let mut answer = [0; 12];
    match timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .unwrap()
    {
        Ok(_) => std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap(),
        Err(_) => 0,
    }
}

/// A node with a secret, and another member that speaks to it.
pub(super) struct Scene {
    pub(super) stand: Stand,
    pub(super) other: Peer,
    gone: Peer,
    _home: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let own = config("a", secret_file(home.path(), SECRET));
        let other = peer(&config("b", Trust::Nobody));
        let gone = peer(&config("gone", Trust::Nobody));
        let mut all = members(&[peer(&own), other.clone()]);
        all.removed.push(gone.id);
        Self {
            stand: Stand::open(&own, all),
            other,
            gone,
            _home: home,
        }
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.stand.endpoint.address()
    }

    pub(super) fn me(&self) -> &Peer {
        self.stand.endpoint.me()
    }

    pub(super) fn sender(&self) -> Sender {
        Sender::new(&self.other, self.me())
    }

    /// What the other member would say.
    pub(super) fn body(&self, number: u64) -> Vec<u8> {
        batch::encode(&[between(&self.other, self.me(), packet(number))]).0
    }

    /// Nothing was taken until now, and a node is served as ever.
    pub(super) async fn is_unharmed(&self) {
        assert!(self.stand.events().is_empty());
        let mut sender = self.sender();
        let body = self.body(77);
        assert_eq!(sender.ask(self.at(), PACKETS, &body).await, 204);
        let taken = packets(self.stand.events());
        assert_eq!(taken, [between(&self.other, self.me(), packet(77))]);
    }
}

#[tokio::test]
async fn who_has_another_secret_or_none_is_refused() {
    let scene = Scene::new();
    let body = scene.body(1);
    let mut wrong = scene.sender();
    wrong.secret = Secret::new(&[1; 32]);
    assert_eq!(wrong.ask(scene.at(), PACKETS, &body).await, 401);
    let bare = written(&Method::POST, PACKETS, &HeaderMap::new(), &body);
    for path in [
        PACKETS,
        HEAPS,
        ASK,
        JOIN,
        LEAVE,
        STATUS,
        HELLO,
        SNAPSHOT_OFFER,
        "/x",
    ] {
        for method in [Method::POST, Method::GET] {
            let request = written(&method, path, &HeaderMap::new(), b"");
            let stream = TcpStream::connect(scene.at()).await.unwrap();
            assert_eq!(say(stream, &request).await, 401, "{method} {path}");
        }
    }
    let stream = TcpStream::connect(scene.at()).await.unwrap();
    assert_eq!(say(stream, &bare).await, 401);
    let stream = TcpStream::connect(scene.at()).await.unwrap();
    let health = written(&Method::GET, HEALTH, &HeaderMap::new(), b"");
    assert_eq!(say(stream, &health).await, 200);
    scene.is_unharmed().await;
}

#[tokio::test]
async fn a_request_is_taken_once_in_its_time_with_its_body_at_its_path() {
    let scene = Scene::new();
    let mut sender = scene.sender();
    let body = scene.body(1);
    let request = sender.request(&Method::POST, PACKETS, &body);
    for status in [204, 401, 401] {
        let stream = TcpStream::connect(scene.at()).await.unwrap();
        assert_eq!(say(stream, &request).await, status);
    }
    assert_eq!(packets(scene.stand.events()).len(), 1);
    let skew = PEER_CLOCK_SKEW_MAX.as_secs() + 5;
    for time in [now_secs() - skew, now_secs() + skew] {
        let mut off = scene.sender();
        off.time = time;
        assert_eq!(off.ask(scene.at(), PACKETS, &body).await, 401);
    }
    let headers = sender.head(&Method::POST, PACKETS, &body);
    let other_body = written(&Method::POST, PACKETS, &headers, &scene.body(2));
    let headers = sender.head(&Method::POST, LEAVE, &body);
    let other_path = written(&Method::POST, PACKETS, &headers, &body);
    for request in [other_body, other_path] {
        let stream = TcpStream::connect(scene.at()).await.unwrap();
        assert_eq!(say(stream, &request).await, 401);
    }
    scene.is_unharmed().await;
}

#[tokio::test]
async fn a_node_speaks_for_itself_in_its_cluster_to_this_one() {
    let scene = Scene::new();
    let at = scene.at();
    let stolen = between(scene.me(), scene.me(), packet(1));
    let stolen = batch::encode(&[stolen]).0;
    assert_eq!(scene.sender().ask(at, PACKETS, &stolen).await, 403);
    let mut other_life = between(&scene.other, scene.me(), packet(1));
    other_life.incarnation.0[0] ^= 1;
    let other_life = batch::encode(&[other_life]).0;
    assert_eq!(scene.sender().ask(at, PACKETS, &other_life).await, 403);
    let mut foreign = between(&scene.other, scene.me(), packet(1));
    foreign.cluster = ClusterId([2; 16]);
    let foreign = batch::encode(&[foreign]).0;
    assert_eq!(scene.sender().ask(at, PACKETS, &foreign).await, 409);

    let body = scene.body(1);
    let mut sender = scene.sender();
    sender.claims.cluster = Some(ClusterId([2; 16]));
    assert_eq!(sender.ask(at, PACKETS, &body).await, 409);
    let mut sender = scene.sender();
    sender.claims.to = RaftId::from_u64(9);
    assert_eq!(sender.ask(at, PACKETS, &body).await, 409);
    let mut sender = scene.sender();
    sender.claims.from = None;
    assert_eq!(sender.ask(at, PACKETS, &body).await, 403);
    let mut sender = scene.sender();
    sender.claims.from = Some(scene.gone.clone());
    let gone = batch::encode(&[between(&scene.gone, scene.me(), packet(1))]).0;
    assert_eq!(sender.ask(at, PACKETS, &gone).await, 410);
    // One that is good does not help those that are not.
    let mixed = [scene.body(1), stolen].concat();
    assert_eq!(scene.sender().ask(at, PACKETS, &mixed).await, 403);
    // A snapshot without its file is none.
    let snapshot = packed(message(raft::eraftpb::MessageType::MsgSnapshot, 1));
    let snapshot = batch::encode(&[between(&scene.other, scene.me(), snapshot)]).0;
    assert_eq!(scene.sender().ask(at, PACKETS, &snapshot).await, 400);
    // A node joins by itself alone.
    let other = format!(r#"{{"node_id":"a","addr":"{}"}}"#, scene.other.address);
    assert_eq!(scene.sender().ask(at, JOIN, other.as_bytes()).await, 403);
    assert!(scene.stand.control.0.lock().unwrap().is_empty());
    scene.is_unharmed().await;
}

#[tokio::test]
async fn garbage_is_refused_at_each_route_also_from_a_node() {
    let scene = Scene::new();
    let garbage: [&[u8]; 6] = [
        b"",
        b"\0",
        b"{\"node_id\":1}",
        &[0xff; 64],
        &[1; 4000],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for path in [
        JOIN,
        LEAVE,
        SNAPSHOT_OFFER,
        SNAPSHOT_PIECE,
        SNAPSHOT_FINISH,
        PACKETS,
    ] {
        for body in garbage {
            if path == PACKETS && body.is_empty() {
                continue;
            }
            let status = scene.sender().ask(scene.at(), path, body).await;
            let is_refused = matches!(status, 400 | 404);
            assert!(is_refused, "{path} {body:?} {status}");
        }
    }
    let mut sender = scene.sender();
    let request = sender.request(&Method::GET, PACKETS, b"");
    let stream = TcpStream::connect(scene.at()).await.unwrap();
    assert_eq!(say(stream, &request).await, 405);
    assert_eq!(scene.sender().ask(scene.at(), "/raft/x", b"").await, 404);
    for raw in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        &[0; 70000],
        b"GARBAGE\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(scene.at()).await.unwrap();
        let _ = stream.write_all(raw).await;
        let _ = stream.shutdown().await;
        let status = heard(&mut stream).await;
        assert!(matches!(status, 0 | 400 | 431), "{status}");
    }
    scene.is_unharmed().await;
}

#[tokio::test]
async fn bodies_have_a_length_and_a_bound() {
    let scene = Scene::new();
    let mut sender = scene.sender();
    let headers = sender.head(&Method::POST, PACKETS, b"");
    let endless = written(&Method::POST, PACKETS, &headers, b"");
    let endless = String::from_utf8(endless).unwrap();
    let endless = endless.replace("content-length: 0", "transfer-encoding: chunked");
    let stream = TcpStream::connect(scene.at()).await.unwrap();
    assert_eq!(say(stream, endless.as_bytes()).await, 411);
    for (path, bytes) in [
        (PACKETS, BATCH_BYTES_MAX + 1),
        (JOIN, 5000),
        (PACKETS, 1 << 40),
    ] {
        let headers = sender.head(&Method::POST, path, b"");
        let long = written(&Method::POST, path, &headers, b"");
        let long = String::from_utf8(long).unwrap();
        let long = long.replace("content-length: 0", &format!("content-length: {bytes}"));
        let stream = TcpStream::connect(scene.at()).await.unwrap();
        assert_eq!(say(stream, long.as_bytes()).await, 413, "{path} {bytes}");
    }
    scene.is_unharmed().await;
}

#[tokio::test]
async fn who_sends_slowly_holds_up_nobody_and_is_cut_off() {
    let scene = Scene::new();
    let body = scene.body(1);
    let mut slow = Vec::new();
    for _ in 0..20 {
        let request = scene.sender().request(&Method::POST, PACKETS, &body);
        let mut stream = TcpStream::connect(scene.at()).await.unwrap();
        stream
            .write_all(&request[..request.len() - 1])
            .await
            .unwrap();
        slow.push(stream);
    }
    scene.is_unharmed().await;
    let most = PEER_BODY_WAIT_MAX + Duration::from_secs(20);
    let mut last = slow.pop().unwrap();
    let status = timeout(most, heard(&mut last)).await.unwrap();
    assert_eq!(status, 408);
    scene.is_unharmed().await;
}

#[tokio::test]
async fn strangers_who_only_connect_keep_no_node_out() {
    let scene = Scene::new();
    let mut strangers = Vec::new();
    let mut node = TcpStream::connect(scene.at()).await.unwrap();
    let mut sender = scene.sender();
    let request = sender.request(&Method::POST, PACKETS, &scene.body(1));
    node.write_all(&request).await.unwrap();
    assert_eq!(heard(&mut node).await, 204);
    scene.stand.events();
    for _ in 0..STRANGER_CONNECTIONS_MAX + 64 {
        strangers.push(TcpStream::connect(scene.at()).await.unwrap());
    }
    scene.is_unharmed().await;
    // The connection of a node is not one of those that have to leave.
    let mut rest = vec![0; 4096];
    let request = sender.request(&Method::POST, PACKETS, &scene.body(2));
    node.write_all(&request).await.unwrap();
    let mut answers = String::new();
    while !answers.contains("HTTP/1.1 204") {
        let read = timeout(PATIENCE, node.read(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "it was cut off: {answers}");
        answers.push_str(&String::from_utf8_lossy(&rest[..read]));
    }
    assert_eq!(packets(scene.stand.events()).len(), 1);
}

/// Connects with this certificate, to a node that these authorities have signed.
pub(super) async fn over_tls(
    to: SocketAddr,
    trust: &Trust,
) -> std::io::Result<TlsStream<TcpStream>> {
    let Trust::Tls { own, authorities } = trust else {
        panic!("{trust:?}");
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authorities).unwrap())
        .unwrap();
    let key = Arc::new(SingleCertAndKey::from(own.load().unwrap()));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(key);
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("a").unwrap();
    connector.connect(name, stream).await
}

#[tokio::test]
async fn a_certificate_lets_its_node_in_and_no_other() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let own = config("a", authority.sign("a"));
    let other = peer(&config("b", Trust::Nobody));
    let stand = Stand::open(&own, members(&[peer(&own), other.clone()]));
    let (at, me) = (stand.endpoint.address(), stand.endpoint.me().clone());
    let request = |number| {
        let body = batch::encode(&[between(&other, &me, packet(number))]).0;
        Sender::new(&other, &me).request(&Method::POST, PACKETS, &body)
    };
    // Names are compared letter by letter, and a pattern is only itself.
    for name in ["c", "*.b", "bb", "B"] {
        let thief = over_tls(at, &authority.sign(name)).await.unwrap();
        assert_eq!(say(thief, &request(1)).await, 403, "{name}");
    }
    // Both ends have to be signed by the same authorities.
    let Trust::Tls { own: files, .. } = foreign.sign("b") else {
        panic!("no certificates");
    };
    let other_authority = Trust::Tls {
        own: files,
        authorities: authority.file(),
    };
    if let Ok(stream) = over_tls(at, &other_authority).await {
        assert_eq!(say(stream, &request(1)).await, 0);
    }
    let plain = TcpStream::connect(at).await.unwrap();
    let status = say(plain, &request(1)).await;
    assert!(status != 204 && status != 200, "{status}");
    assert!(over_tls(at, &foreign.sign("b")).await.is_err());
    let nobody = without_certificate(at, &authority, &request(1)).await;
    assert_eq!(nobody, 0);
    assert!(stand.events().is_empty());
    let node = over_tls(at, &authority.sign("b")).await.unwrap();
    assert_eq!(say(node, &request(2)).await, 204);
    assert_eq!(packets(stand.events()).len(), 1);
}

/// Believes the node, and shows nothing.
async fn without_certificate(to: SocketAddr, authority: &Authority, request: &[u8]) -> u16 {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.file()).unwrap())
        .unwrap();
    let config = crate::outbound::trusting(roots).unwrap();
    let stream = TcpStream::connect(to).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    match connector
        .connect(ServerName::try_from("a").unwrap(), stream)
        .await
    {
        Ok(stream) => say(stream, request).await,
        Err(_) => 0,
    }
}

#[tokio::test]
async fn nobody_is_believed_who_does_not_answer_with_the_secret() {
    let home = tempfile::tempdir().unwrap();
    let own = config("a", secret_file(home.path(), SECRET));
    let liar = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut other = peer(&config("b", Trust::Nobody));
    other.address = liar.local_addr().unwrap().to_string().parse().unwrap();
    let mut stand = Stand::open(&own, members(&[peer(&own), other.clone()]));
    let told = tokio::spawn(async move {
        let (mut stream, _) = liar.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let _ = stream.read(&mut request).await;
        let gone = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(gone).await.unwrap();
        sleep(Duration::from_millis(200)).await;
    });
    let me = stand.endpoint.me().clone();
    stand.transport.send(between(&me, &other, packet(1)));
    let events = until(&stand.inbox, |events| !events.is_empty()).await;
    assert_eq!(events, [Event::Unreachable(other.id)]);
    told.await.unwrap();
    assert!(!stand.events().contains(&Event::ToldRemoved));
}
