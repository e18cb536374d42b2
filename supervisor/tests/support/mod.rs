//! What the tests of the supervisor share: a scripted worker and a server over it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mcp_v8::app::{
    End, ExecutionId, ExecutionsConfig, FailureKind, HeapEnd, HeapId, HeapPlace, HeapRetention,
    HeapsConfig, Limits, OutputPage, PageRequest, Retention, RunRequest, State, Status, Tags,
    Tenant, View, WorkerStart, Workspace,
};
use mcp_v8::heaps::{BuildId, Heaps};
use mcp_v8::store::{Keep, Store};
use tempfile::TempDir;

/// Long enough for anything that is going to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A directory with the scripted worker under the names of its misbehaviours.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// The scripted worker, started by this name.
    pub(crate) fn worker(&self, name: &str) -> PathBuf {
        let link = self.directory.path().join(name);
        if !link.exists() {
            symlink(scripted_worker(), &link).expect("a link in our own directory");
        }
        link
    }

    pub(crate) fn state(&self) -> State {
        stateful(self.directory.path())
    }

    /// The heaps, as a server with the scripted worker opens them.
    pub(crate) fn heaps(&self) -> Heaps {
        let State::Stateful { heaps, .. } = self.state() else {
            unreachable!("it keeps state");
        };
        let build = BuildId::new("0.scripted", "scripted").expect("printable");
        Heaps::open(heaps, build).expect("a directory of our own")
    }

    pub(crate) fn config(&self) -> ExecutionsConfig {
        ExecutionsConfig {
            max_concurrent: 4,
            // The scripted worker does not fork.
            worker_start: WorkerStart::Exec,
            ..ExecutionsConfig::new(self.worker("worker"), self.state())
        }
    }
}

/// State in this directory: executions in `data`, heaps in `heaps`.
pub(crate) fn stateful(home: &Path) -> State {
    stateful_at(home.join("data"), home)
}

/// The same, with executions elsewhere.
pub(crate) fn stateful_at(sessions: PathBuf, home: &Path) -> State {
    State::Stateful {
        sessions,
        heaps: HeapsConfig {
            place: HeapPlace::Directory(home.join("heaps")),
            key_file: home.join("heaps/heap.key"),
        },
        retention: HeapRetention::default(),
    }
}

/// A store beside that of the server of this home, on the same database.
pub(crate) async fn neighbour(home: &Home) -> Store {
    let place = stateful(home.directory.path()).store();
    tokio::task::spawn_blocking(|| Store::open(place, Retention::default()))
        .await
        .expect("no panic")
        .expect("a database")
}

/// Asserts that `now` is what the file at this path, from the crate on, says. `UPDATE_SNAPSHOTS=1`
/// writes it anew.
pub(crate) fn assert_snapshot(path: &str, what: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let directory = path.parent().expect("it is in a directory");
        std::fs::create_dir_all(directory).expect("a directory");
        std::fs::write(&path, now).expect("a file");
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        now == then,
        "{what} from {}; if that is meant, run this test with UPDATE_SNAPSHOTS=1 and check the \
         difference in:\n{now}",
        path.display()
    );
}

fn scripted_worker() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("tests are built into target/<profile>/deps");
    let worker = profile.join("examples/scripted_worker");
    assert!(
        worker.exists(),
        "build it first: cargo build -p mcp-v8 --example scripted_worker"
    );
    worker
}

/// A server as one that has a single tenant: what is done to it as a whole, and what the tenant does.
#[derive(Debug, Clone)]
pub(crate) struct Executions {
    pub(crate) whole: mcp_v8::app::Executions,
    workspace: Workspace,
}

impl Executions {
    pub(crate) fn over(whole: mcp_v8::app::Executions) -> Self {
        let workspace = whole.of(Tenant::local());
        Self { whole, workspace }
    }

    pub(crate) fn workspace(&self) -> Workspace {
        self.workspace.clone()
    }

    pub(crate) fn v8_version(&self) -> &str {
        self.whole.v8_version()
    }

    pub(crate) async fn cancel_all(&self) {
        self.whole.cancel_all().await;
    }

    pub(crate) async fn shut_down(&self) {
        self.whole.shut_down().await;
    }
}

impl Deref for Executions {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

pub(crate) async fn start(config: ExecutionsConfig) -> Executions {
    let started = mcp_v8::app::Executions::start(config).await;
    Executions::over(started.expect("the server starts"))
}

pub(crate) fn request(source: &str) -> RunRequest {
    RunRequest {
        source: source.to_owned(),
        heap_memory_max_mb: None,
        execution_timeout_secs: None,
        heap: None,
        session: None,
        tags: Tags::default(),
    }
}

pub(crate) async fn submit(executions: &Executions, source: &str) -> ExecutionId {
    executions
        .submit(request(source))
        .await
        .expect("it is accepted")
}

pub(crate) async fn ended(executions: &Executions, id: ExecutionId) -> View {
    let view = executions.wait(id, PATIENCE).await.expect("it exists");
    assert!(view.end.is_some(), "it has not ended: {view:?}");
    view
}

pub(crate) async fn run(executions: &Executions, source: &str) -> View {
    let id = submit(executions, source).await;
    ended(executions, id).await
}

pub(crate) async fn lines(executions: &Executions, id: ExecutionId) -> OutputPage {
    executions
        .output(
            id,
            PageRequest::Lines {
                offset: 1,
                limit: 10_000,
            },
        )
        .await
        .expect("it has output")
}

/// The kind and the text of a failure.
pub(crate) fn failure(view: &View) -> (FailureKind, &str) {
    match &view.end {
        Some(End::Failed { kind, error, .. }) => (*kind, error),
        other => panic!("it did not fail: {other:?}"),
    }
}

/// The value of a completed execution.
pub(crate) fn result(view: &View) -> &str {
    match &view.end {
        Some(End::Completed { result, .. }) => result,
        other => panic!("it did not complete: {other:?}"),
    }
}

/// The children of this process, zombies included.
pub(crate) fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // pid (name) state parent ...
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&own) {
            found.push(stat);
        }
    }
    found
}

/// The process ids of this process's children, which are fork servers and executed workers.
pub(crate) fn own_children() -> Vec<String> {
    children()
        .iter()
        .filter_map(|stat| stat.split(' ').next().map(str::to_owned))
        .collect()
}

/// Every process whose parent is a child of this one.
pub(crate) fn grandchildren() -> Vec<String> {
    let parents = own_children();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let parent = after_name.split_whitespace().nth(1).map(str::to_owned);
        if parent.is_some_and(|parent| parents.contains(&parent)) {
            found.push(stat);
        }
    }
    found
}

/// Descriptors that this process has open.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

/// Whether more wants to compute here than there are processors: what then takes long says nothing.
pub(crate) fn is_machine_busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Option<f64> = load.split_whitespace().next().and_then(|n| n.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    load.is_none_or(|load| load >= processors as f64)
}

/// Waits until a condition holds, and says so if it never does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// What an execution left behind, to be written down.
pub(crate) struct Left {
    pub(crate) keep: Keep,
}

/// A heap with this content.
pub(crate) fn keep(content: &str) -> Left {
    Left {
        keep: Keep {
            tenant: Tenant::local(),
            heap: HeapId::of(content.as_bytes()),
            stored_bytes: 1000,
            input_heap: None,
            session: None,
            code: String::new(),
            tags: Tags::default(),
        },
    }
}

impl Left {
    pub(crate) fn in_session(mut self, name: &str) -> Self {
        self.keep.session = Some(name.parse().expect("a name"));
        self
    }

    pub(crate) fn from(mut self, content: &str) -> Self {
        self.keep.input_heap = Some(HeapId::of(content.as_bytes()));
        self
    }

    pub(crate) fn made_by(mut self, code: &str) -> Self {
        self.keep.code = code.to_owned();
        self
    }

    pub(crate) fn tagged(mut self, tags: &[(&str, &str)]) -> Self {
        let tags = tags
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        self.keep.tags = Tags::try_from(tags.collect::<BTreeMap<_, _>>()).expect("tags");
        self
    }
}

/// An execution that was just accepted.
pub(crate) fn accepted() -> View {
    View {
        id: ExecutionId::random(),
        tenant: Tenant::local(),
        input_heap: None,
        session: None,
        status: Status::Queued,
        submitted_at: now(),
        started_at: None,
        completed_at: None,
        end: None,
        limits: Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        },
        output_bytes: 0,
        source_bytes: 0,
        output_truncated: false,
        usage: None,
    }
}

/// The time, as exactly as it is stored.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).expect("a time of today")
}

/// The same execution at its end.
pub(crate) fn completed(view: View, heap: HeapEnd) -> View {
    View {
        status: Status::Completed,
        completed_at: Some(now()),
        end: Some(End::Completed {
            result: "1".to_owned(),
            result_truncated: false,
            preview: "1".to_owned(),
            heap,
        }),
        ..view
    }
}

/// Writes an execution that left this behind, as its driver would.
pub(crate) async fn left_behind(store: &Store, left: Left) -> ExecutionId {
    let keep = left.keep;
    let view = View {
        tenant: keep.tenant.clone(),
        input_heap: keep.input_heap,
        session: keep.session.clone(),
        ..accepted()
    };
    let view = completed(view, HeapEnd::Kept(keep.heap));
    let id = view.id;
    store.end(view, Some(keep)).await.expect("it is written");
    id
}

/// Writes an execution whose heap could not be kept.
pub(crate) async fn lost(store: &Store, why: &str) -> ExecutionId {
    let view = completed(
        accepted(),
        HeapEnd::Lost {
            why: why.to_owned(),
        },
    );
    let id = view.id;
    store.end(view, None).await.expect("it is written");
    id
}
