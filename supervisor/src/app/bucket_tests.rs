//! Two nodes of a cluster, real but for the one process that they share, at one bucket of a server that is not
//! ours.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::cluster::{Answers, Begin, ClusterConfig, NodeConfig, Opened, Times, Trust};
use crate::execution::driver;
use crate::heaps::{AwsVariables, BuildId, HeapPlace, Heaps, HeapsConfig, TenantFolder};
use crate::place;
use crate::store::{ExecutionId, HeapRetention, Limits, Retention, View};

const BUCKET: &str = "heaps";
/// Longer ago than any retention here.
const LONG: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The server, and what it keeps.
struct Server {
    address: SocketAddr,
    root: TempDir,
}

impl Server {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, root }
    }

    fn file(&self, id: HeapId) -> PathBuf {
        let folder = TenantFolder::of(&Tenant::local());
        let bucket = self.root.path().join(BUCKET);
        bucket.join(format!("{folder}/{id}.heap"))
    }

    fn has(&self, id: HeapId) -> bool {
        self.file(id).exists()
    }

    /// Lets a heap be put long ago.
    fn age(&self, id: HeapId) {
        let file = File::open(self.file(id)).unwrap();
        file.set_modified(SystemTime::now() - LONG).unwrap();
    }
}

/// Nobody asks.
struct Silent;

#[async_trait]
impl Answers for Silent {
    async fn answer(&self, _question: Bytes) -> Bytes {
        Bytes::new()
    }
}

/// A node with its collector, for which a doomed heap need not have been doomed for long.
struct Site {
    store: Store,
    heaps: Heaps,
    nodes: Arc<Nodes>,
    collector: BucketCollector,
    me: crate::raft::ids::RaftId,
}

impl Site {
    async fn open(
        home: &Path,
        server: &Server,
        (name, listen, begin): (&str, SocketAddr, Begin),
    ) -> Self {
        let node = NodeConfig {
            cluster: ClusterConfig {
                listen,
                name: name.parse().unwrap(),
                advertise: listen.to_string().parse().unwrap(),
                begin,
                forces_new: false,
                times: Times {
                    heartbeat: Duration::from_millis(100),
                    election_min: Duration::from_secs(2),
                    election_max: Duration::from_secs(3),
                },
                trust: Trust::Nobody,
                is_status_public: false,
            },
            directory: home.join(name),
        };
        let variables = [
            ("AWS_ENDPOINT_URL", format!("http://{}", server.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ];
        let config = HeapsConfig {
            place: HeapPlace::S3 {
                bucket: BUCKET.to_owned(),
                variables: AwsVariables::from_iter(variables),
                cache: None,
            },
            key_file: home.join("heap.key"),
        };
        let heaps = Heaps::open(config, BuildId::new("15", "f00d").unwrap()).unwrap();
        let opened = Opened::open(node, Retention::default()).await.unwrap();
        let (store, me, phone) = (opened.store(), opened.me(), opened.phone());
        heaps.revive_by(Arc::new(Keeping(store.clone())));
        let member = opened.start(Arc::new(Silent), None).await.unwrap();
        let nodes = Arc::new(Nodes::new(member, phone, me));
        while nodes.handle.read_barrier().await.is_err() {}
        let id = store.database_id().await.unwrap();
        let collector = Collector {
            store: store.clone(),
            heaps: heaps.clone(),
            retention: HeapRetention::default(),
            user: HeapUser::new(id, name.to_owned()),
        };
        let mut collector = BucketCollector::new(collector, Arc::clone(&nodes));
        collector.grace = Duration::ZERO;
        Self {
            store,
            heaps,
            nodes,
            collector,
            me,
        }
    }

    async fn put(&self, content: &[u8]) -> HeapId {
        let put = self.heaps.put(&Tenant::local(), content.to_vec()).await;
        put.unwrap().id
    }

    /// A heap with a row, as used some time ago.
    async fn leave(&self, server: &Server, content: &[u8], ago: Duration) -> HeapId {
        let id = self.put(content).await;
        if !ago.is_zero() {
            server.age(id);
        }
        let at = Timestamp::now() - ago;
        let adopted = self.store.adopt_heap(Tenant::local(), id, 1, at).await;
        assert!(adopted.unwrap());
        id
    }

    async fn knows(&self, id: HeapId) -> bool {
        self.nodes.handle.read_barrier().await.unwrap();
        self.store.has_heap(Tenant::local(), id).await.unwrap()
    }

    /// An execution that goes on from a heap.
    fn begun(&self, heap: HeapId) -> View {
        let limits = Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        };
        let id = ExecutionId::random_of(self.me);
        View {
            input_heap: Some(heap),
            ..driver::accepted(id, Tenant::local(), limits)
        }
    }
}

struct Scene {
    server: Server,
    leader: Site,
    other: Site,
    _home: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (home, server) = (tempfile::tempdir().unwrap(), Server::start().await);
        let (one, two) = (place::reserve(), place::reserve());
        let leader = Site::open(home.path(), &server, ("a", one, Begin::Alone)).await;
        let join = Begin::Join {
            seed: one.to_string().parse().unwrap(),
            as_learner: true,
        };
        let other = Site::open(home.path(), &server, ("b", two, join)).await;
        assert!(leader.collector.leads() && !other.collector.leads());
        Self {
            server,
            leader,
            other,
            _home: home,
        }
    }

    async fn close(self) {
        for site in [self.other, self.leader] {
            site.nodes.leave().await;
            site.store.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_removes_what_nothing_needs_on_any_node_and_nobody_else_removes_anything() {
    let mut scene = Scene::new().await;
    let (server, leader, other) = (&scene.server, &mut scene.leader, &mut scene.other);
    let old = other.leave(server, b"old", LONG).await;
    let young = other.leave(server, b"young", Duration::ZERO).await;
    let in_use = other.leave(server, b"in use", LONG).await;
    let on_its_way = other.put(b"no row names it yet").await;
    other.store.announce(other.begun(in_use)).await.unwrap();
    for _ in 0..3 {
        other.collector.round(true).await.unwrap();
    }
    assert!(server.has(old) && leader.knows(old).await);
    leader.collector.grace = limits::HEAP_GRACE;
    for _ in 0..2 {
        leader.collector.round(true).await.unwrap();
    }
    // It is doomed on all nodes, and still there: somebody may be putting it.
    assert!(!leader.knows(old).await && !other.knows(old).await);
    let doomed = doomed(old);
    assert!(other.store.is_doomed(doomed).await.unwrap());
    assert!(server.has(old));
    leader.collector.grace = Duration::ZERO;
    leader.collector.round(true).await.unwrap();
    assert!(!server.has(old));
    assert!(!leader.store.is_doomed(doomed).await.unwrap());
    for heap in [young, in_use, on_its_way] {
        assert!(server.has(heap));
    }
    assert!(other.knows(young).await && other.knows(in_use).await);
    scene.close().await;
}

fn doomed(id: HeapId) -> DoomedHeap {
    DoomedHeap {
        folder: TenantFolder::of(&Tenant::local()),
        heap: id,
        stored_bytes: 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_puts_again_stays_whenever_it_does() {
    let mut scene = Scene::new().await;
    let content = b"it goes, and comes again";
    let id = scene.other.leave(&scene.server, content, LONG).await;
    assert!(scene.leader.knows(id).await);
    scene.leader.collector.round(false).await.unwrap();
    assert!(!scene.other.knows(id).await);
    assert!(scene.server.has(id));
    // Doomed, and put again: all know it before it is there.
    assert_eq!(scene.other.put(content).await, id);
    assert!(scene.leader.knows(id).await);
    for _ in 0..2 {
        scene.leader.collector.round(true).await.unwrap();
        assert!(scene.server.has(id));
    }
    // It is put while the leader is at it: whoever is first, it is there afterwards, with its row.
    let mut raced = 0;
    for number in 0..60_u64 {
        let content = [b"at once".as_slice(), &number.to_le_bytes()].concat();
        let id = scene.other.leave(&scene.server, &content, LONG).await;
        assert!(scene.leader.knows(id).await);
        scene.leader.collector.forget_unneeded().await.unwrap();
        assert!(!scene.other.knows(id).await);
        let doomed = doomed(id);
        let removing = async {
            sleep(Duration::from_micros(number % 6 * 500)).await;
            scene.leader.collector.remove(doomed).await.unwrap();
        };
        let putting = async {
            sleep(Duration::from_micros(number / 6 % 5 * 700)).await;
            scene.other.put(&content).await;
            let now = Timestamp::now();
            let noted = scene.other.store.revive_heap(Tenant::local(), (id, 1), now);
            noted.await.unwrap();
        };
        tokio::join!(removing, putting);
        assert!(scene.server.has(id), "{number}");
        raced += u64::from(scene.leader.knows(id).await);
    }
    assert!(raced > 0, "nobody was ever in time");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_again_between_the_removal_and_the_second_look_is_put_back() {
    let scene = Scene::new().await;
    let id = scene.other.leave(&scene.server, b"needed", LONG).await;
    assert!(scene.leader.knows(id).await);
    scene.leader.collector.forget_unneeded().await.unwrap();
    let put_at = before(Timestamp::now(), limits::HEAP_GRACE).unwrap();
    let old = ListedHeap {
        id,
        folder: TenantFolder::of(&Tenant::local()),
        stored_bytes: 1,
        put_at,
    };
    let Removal::Lifted(lifted) = scene.leader.heaps.lift(&old).await.unwrap() else {
        panic!("it is there, and old");
    };
    assert!(!scene.server.has(id));
    scene.leader.heaps.put_back(lifted).await.unwrap();
    let fetched = scene.other.heaps.fetch(&Tenant::local(), id).await.unwrap();
    assert_eq!(*fetched, *b"needed");
    // It is young now.
    let again = scene.leader.heaps.lift(&old).await.unwrap();
    assert!(matches!(again, Removal::Young), "{again:?}");
    let other = ListedHeap {
        id: HeapId::of(b"nowhere"),
        ..old
    };
    let absent = scene.leader.heaps.lift(&other).await.unwrap();
    assert!(matches!(absent, Removal::Absent), "{absent:?}");
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_orphans_go_and_nothing_goes_where_somebody_else_uses_the_place() {
    let mut scene = Scene::new().await;
    let kept = scene
        .other
        .leave(&scene.server, b"kept", Duration::ZERO)
        .await;
    let orphan = scene.other.put(b"a killed node has left it").await;
    let fresh = scene.other.put(b"a node is about to name it").await;
    scene.server.age(orphan);
    let neighbour = HeapUser::new("0".repeat(32), "/srv/data on z".to_owned());
    let heaps = scene.leader.heaps.clone();
    heaps.enter(neighbour.clone()).await.unwrap();
    for _ in 0..3 {
        let refused = scene.leader.collector.round(true).await.unwrap_err();
        assert!(refused.to_string().contains("/srv/data on z"), "{refused}");
        assert!(scene.server.has(orphan));
    }
    heaps.dismiss(neighbour.id).await.unwrap();
    // The cluster has one note, whichever of its nodes leads; the databases have none any more.
    let users = heaps.users().await.unwrap().unwrap();
    assert!(users.len() == 1 && users[0].is_of_cluster(), "{users:?}");
    for _ in 0..2 {
        scene.leader.collector.round(true).await.unwrap();
    }
    assert!(!scene.server.has(orphan));
    assert!(scene.server.has(kept) && scene.server.has(fresh));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_where_the_clock_of_the_place_is_another() {
    let mut scene = Scene::new().await;
    let (server, bucket) = (&scene.server, &mut scene.leader.collector);
    bucket.enter().await.unwrap();
    let note = format!("{BUCKET}/users/{}.user", bucket.collector.user.id);
    let note = File::open(server.root.path().join(note)).unwrap();
    let (most, minute) = (limits::HEAP_CLOCK_DIFFERENCE_MAX, Duration::from_secs(60));
    let now = SystemTime::now();
    for near in [now - (most - minute), now + (most - minute)] {
        note.set_modified(near).unwrap();
        bucket.look_around().await.unwrap();
    }
    for far in [now - (most + minute), now + (most + minute)] {
        note.set_modified(far).unwrap();
        let refused = bucket.look_around().await.unwrap_err();
        assert!(
            matches!(refused, Problem::Clock(difference) if difference > most),
            "{refused}"
        );
    }
    scene.close().await;
}
