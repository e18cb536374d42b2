//! The other nodes, as those that have heaps which are missing here, and as those that keep a second copy.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::Method;
use lru::LruCache;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::experience::Experience;
use super::order::order;
use super::words::{self, Garbled, Name, Said, Size, Told, piece_bytes};
use crate::cluster::desk::Desk;
use crate::cluster::line::Question;
use crate::cluster::lines::{Held, QuestionKind};
use crate::cluster::link::time_for;
use crate::cluster::phone::PhoneError;
use crate::cluster::routes::HEAPS;
use crate::heaps::{
    Content, Copied, Damage, Elsewhere, HeapAt, HeapId, Packed, Peers, PeersError, Shape, Wanted,
};
use crate::limits::{
    HEAP_COPIES_REMEMBERED, HEAP_COPY_FRESH, HEAP_COPY_WAIT_MAX, HEAP_FETCH_ROUNDS_WAIT_MAX,
    HEAP_NEXT_PEER_PAUSE, HEAP_WORD_WAIT_MAX, PEER_PAUSE_MAX, PEER_PAUSE_MIN,
    SNAPSHOT_VERIFY_BYTES_PER_SEC,
};
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// The other nodes of a cluster, each with heaps of its own.
#[derive(Debug)]
pub struct HeapPeers {
    desk: Arc<Desk>,
    /// Who has taken a copy lately. Equal heaps are put again and again, and nobody removes young ones.
    copied: Mutex<LruCache<HeapAt, (RaftId, Instant)>>,
    experience: Mutex<Experience>,
}

/// Why a node does not give a heap, or take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    #[error("it does not have it")]
    Missing,
    #[error("it has one that was made by {0}")]
    OtherBuild(String),
    #[error(transparent)]
    Phone(#[from] PhoneError),
    #[error("it has no room at this moment")]
    Busy,
    #[error("it has forgotten what was said before")]
    Lost,
    #[error("it says: {0}")]
    Refused(String),
    #[error("what it says makes no sense")]
    Nonsense,
    #[error("what it gives is another heap: {0}")]
    Other(#[from] Damage),
}

impl From<Garbled> for CallError {
    fn from(_: Garbled) -> Self {
        Self::Nonsense
    }
}

impl CallError {
    /// Whether nothing was heard of the node.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Phone(PhoneError::Unreachable(_) | PhoneError::Late)
        )
    }

    /// Whether it would be the same a moment later.
    const fn is_final(&self) -> bool {
        match self {
            Self::Phone(_) | Self::Busy | Self::Lost => false,
            Self::Missing
            | Self::OtherBuild(_)
            | Self::Refused(_)
            | Self::Nonsense
            | Self::Other(_) => true,
        }
    }
}

/// One node that is spoken to.
pub(super) struct Call {
    desk: Arc<Desk>,
    to: RaftId,
    held: Held,
}

/// A heap that a node has begun to give.
struct Begun {
    call: Call,
    transfer: u64,
    shape: Shape,
    payload: Vec<u8>,
}

impl HeapPeers {
    pub(in crate::cluster) fn new(desk: Arc<Desk>) -> Self {
        Self {
            desk,
            copied: Mutex::new(LruCache::new(HEAP_COPIES_REMEMBERED)),
            experience: Mutex::default(),
        }
    }

    /// The others, those last that have let somebody wait a moment ago.
    fn others(&self, id: HeapId) -> Vec<RaftId> {
        let others = order(id, self.all_others());
        self.experience().prefer(others, Instant::now())
    }

    /// The others. Of nobody else anything is remembered.
    pub(super) fn all_others(&self) -> Vec<RaftId> {
        let members = self.desk.roster.members();
        let me = self.desk.local.me.id;
        let ids = members.iter().map(|member| member.id);
        let others: Vec<RaftId> = ids.filter(|member| *member != me).collect();
        self.experience().keep(&others);
        others
    }

    pub(super) fn experience(&self) -> MutexGuard<'_, Experience> {
        let experience = self.experience.lock();
        experience.unwrap_or_else(PoisonError::into_inner)
    }

    fn note_slow(&self, node: RaftId) {
        self.experience().was_slow(node, Instant::now());
    }

    /// Remembers how a node has answered.
    fn note<T>(&self, node: RaftId, answer: Result<T, CallError>) -> Result<T, CallError> {
        let now = Instant::now();
        let mut experience = self.experience();
        match &answer {
            Ok(_) => experience.was_quick(node),
            Err(error) if error.is_silence() => {
                experience.was_slow(node, now);
                experience.was_silent(node, now);
            }
            Err(CallError::Phone(_) | CallError::Busy | CallError::Lost) => {
                experience.was_slow(node, now);
                experience.spoke(node);
            }
            Err(_) => experience.spoke(node),
        }
        answer
    }

    /// Some text that says what each of them has said.
    fn told(&self, failures: &[(RaftId, CallError)]) -> String {
        let each = failures.iter().map(|(node, error)| {
            let name = self.desk.roster.find(*node).map(|(_, name)| name);
            match name {
                Some(name) => format!("node {name}: {error}"),
                None => format!("node {node}: {error}"),
            }
        });
        each.collect::<Vec<_>>().join("; ")
    }

    pub(super) async fn call(&self, to: RaftId, tenant: &Tenant) -> Result<Call, CallError> {
        let desk = Arc::clone(&self.desk);
        let until = Instant::now() + HEAP_WORD_WAIT_MAX;
        let held = desk.place(to, (tenant, QuestionKind::Heap), until).await?;
        Ok(Call { desk, to, held })
    }

    async fn begin(&self, to: RaftId, wanted: &Wanted) -> Result<Begun, CallError> {
        let mut call = self.call(to, &wanted.tenant).await?;
        let said = Said::Fetch(Name::new(wanted));
        match call.say(&said, HEAP_WORD_WAIT_MAX).await? {
            Told::Begins {
                transfer,
                size,
                piece,
            } => {
                let shape = size.read()?;
                if piece.len() != piece_bytes(shape.payload_bytes, 0) {
                    return Err(CallError::Nonsense);
                }
                let payload = piece;
                Ok(Begun {
                    call,
                    transfer,
                    shape,
                    payload,
                })
            }
            told => Err(refusal(told)),
        }
    }

    async fn keep(
        &self,
        to: RaftId,
        (wanted, packed): (&Wanted, &Packed),
    ) -> Result<RaftId, CallError> {
        let mut call = self.call(to, &wanted.tenant).await?;
        let (shape, payload) = (packed.shape(), packed.payload());
        let mut offset = piece_bytes(shape.payload_bytes, 0);
        let mut said = Said::Keep {
            name: Name::new(wanted),
            size: Size::new(shape),
            piece: payload.slice(..offset).into(),
        };
        loop {
            // Any piece may have to wait until the whole is read or written.
            let patience = HEAP_WORD_WAIT_MAX + time_to_store(shape);
            match call.say(&said, patience).await? {
                Told::Kept => return Ok(to),
                Told::GoOn { transfer } if offset < payload.len() => {
                    let next = offset + piece_bytes(shape.payload_bytes, offset as u64);
                    said = Said::KeepMore {
                        transfer,
                        offset: offset as u64,
                        piece: payload.slice(offset..next).into(),
                    };
                    offset = next;
                }
                told => return Err(refusal(told)),
            }
        }
    }

    /// Who has taken this heap lately, and is still there.
    fn copied_before(&self, wanted: &Wanted) -> bool {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        let found = copied.get(&key(wanted));
        found
            .is_some_and(|(node, at)| at.elapsed() < HEAP_COPY_FRESH && self.desk.roster.has(*node))
    }

    /// What another node was believed to have, and has not.
    pub(super) fn forget_copy(&self, heap: HeapAt) {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        copied.pop(&heap);
    }

    fn note_copy(&self, wanted: &Wanted, node: RaftId) {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        copied.put(key(wanted), (node, Instant::now()));
    }
}

#[async_trait]
impl Peers for HeapPeers {
    async fn fetch(&self, wanted: &Wanted) -> Result<Option<Content>, PeersError> {
        let until = Instant::now() + HEAP_FETCH_ROUNDS_WAIT_MAX;
        let mut pause = PEER_PAUSE_MIN;
        let mut said_no: Vec<(RaftId, CallError)> = Vec::new();
        loop {
            let known: BTreeSet<RaftId> = said_no.iter().map(|(node, _)| *node).collect();
            let mut others = self.others(wanted.id);
            others.retain(|node| !known.contains(node));
            let ask = |node| async move { self.note(node, self.begin(node, wanted).await) };
            let slow = |node| self.note_slow(node);
            let begun = first_of(others, (HEAP_NEXT_PEER_PAUSE, slow), ask);
            let failures = match begun.await {
                Ok(begun) => {
                    let node = begun.call.to;
                    match begun.finish(wanted.id).await {
                        Ok(content) => return Ok(Some(content)),
                        Err(error) => {
                            tracing::warn!(%node, heap = %wanted.id, %error, "a node does not give a heap");
                            // It is not asked again, and the others are.
                            said_no.push((node, error));
                        }
                    }
                    continue;
                }
                Err(failures) => failures,
            };
            let (no, perhaps): (Vec<_>, Vec<_>) = failures
                .into_iter()
                .partition(|(_, error)| error.is_final());
            said_no.extend(no);
            if perhaps.is_empty() || Instant::now() >= until {
                said_no.extend(perhaps);
                return self.nobody_gives(&said_no);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PEER_PAUSE_MAX);
        }
    }

    async fn copy(&self, wanted: &Wanted, packed: &Packed) -> Result<Copied, PeersError> {
        if self.copied_before(wanted) {
            return Ok(Copied::Before);
        }
        let until = Instant::now() + HEAP_COPY_WAIT_MAX;
        let mut pause = PEER_PAUSE_MIN;
        let slow = HEAP_NEXT_PEER_PAUSE + time_for(packed.payload().len());
        loop {
            let others = self.others(wanted.id);
            if others.is_empty() {
                return Ok(Copied::Nowhere);
            }
            let ask =
                |node| async move { self.note(node, self.keep(node, (wanted, packed)).await) };
            let kept = first_of(others, (slow, |node| self.note_slow(node)), ask);
            let failures = match kept.await {
                Ok(node) => {
                    self.note_copy(wanted, node);
                    return Ok(Copied::Now);
                }
                Err(failures) => failures,
            };
            let is_final = failures.iter().all(|(_, error)| error.is_final());
            if is_final || Instant::now() >= until {
                let why = self.told(&failures);
                return Err(PeersError::Unreachable { why });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PEER_PAUSE_MAX);
        }
    }

    async fn find(&self, heaps: &[HeapAt]) -> Vec<Elsewhere> {
        self.find_each(heaps).await
    }
}

impl HeapPeers {
    fn nobody_gives(
        &self,
        failures: &[(RaftId, CallError)],
    ) -> Result<Option<Content>, PeersError> {
        let is_missing = |error: &CallError| *error == CallError::Missing;
        if failures.iter().all(|(_, error)| is_missing(error)) {
            return Ok(None);
        }
        let other_build = failures.iter().find_map(|(_, error)| match error {
            CallError::OtherBuild(found) => Some(found.clone()),
            _ => None,
        });
        Err(match other_build {
            Some(found) => PeersError::Incompatible { found },
            None => PeersError::Unreachable {
                why: self.told(failures),
            },
        })
    }
}

impl Call {
    pub(super) async fn say(&mut self, said: &Said, patience: Duration) -> Result<Told, CallError> {
        let question = Question {
            method: Method::POST,
            path: HEAPS,
            body: words::encode(said)?.into(),
            patience,
        };
        let answer = self.desk.ask(&mut self.held, self.to, &question).await?;
        Ok(words::decode(&answer.body)?)
    }
}

impl Begun {
    /// Fetches the rest, and looks whether it is the heap of this name.
    async fn finish(mut self, id: HeapId) -> Result<Content, CallError> {
        let bytes = usize::try_from(self.shape.payload_bytes).map_err(|_| CallError::Nonsense)?;
        let rest = timeout(HEAP_WORD_WAIT_MAX + time_for(bytes), self.rest()).await;
        rest.map_err(|_| PhoneError::Late)??;
        let Self { shape, payload, .. } = self;
        let verified = spawn_blocking(move || Packed::new(shape, payload.into())?.verify(id)).await;
        let verified = verified.map_err(|_| CallError::Refused("this server ends".to_owned()))?;
        Ok(verified?)
    }

    async fn rest(&mut self) -> Result<(), CallError> {
        let whole = self.shape.payload_bytes;
        while (self.payload.len() as u64) < whole {
            let offset = self.payload.len() as u64;
            let said = Said::FetchMore {
                transfer: self.transfer,
                offset,
            };
            match self.call.say(&said, HEAP_WORD_WAIT_MAX).await? {
                Told::Piece(piece) if piece.len() == piece_bytes(whole, offset) => {
                    self.payload.extend(Bytes::from(piece));
                }
                told => return Err(refusal(told)),
            }
        }
        Ok(())
    }
}

/// What a node means that does not say what was hoped for.
pub(super) fn refusal(told: Told) -> CallError {
    match told {
        Told::Missing => CallError::Missing,
        Told::OtherBuild(found) => CallError::OtherBuild(found),
        Told::Busy => CallError::Busy,
        Told::Lost => CallError::Lost,
        Told::Refused(why) => CallError::Refused(why),
        Told::Begins { .. } | Told::Piece(_) | Told::GoOn { .. } | Told::Kept | Told::Has(_) => {
            CallError::Nonsense
        }
    }
}

/// Asks one after the other, the next one when one has said no, or has said nothing for a while: a node that
/// does not answer holds up nobody. What is not needed any more is dropped.
async fn first_of<T, F>(
    nodes: Vec<RaftId>,
    (pause, is_slow): (Duration, impl Fn(RaftId)),
    ask: impl Fn(RaftId) -> F,
) -> Result<T, Vec<(RaftId, CallError)>>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut nodes = nodes.into_iter();
    let asking = |node: RaftId| {
        let asked = ask(node);
        async move { (node, asked.await) }
    };
    let mut asked = FuturesUnordered::new();
    let mut waited_for = Vec::new();
    let mut failures = Vec::new();
    loop {
        if asked.is_empty() && nodes.len() == 0 {
            return Err(failures);
        }
        let is_next_due = asked.is_empty();
        tokio::select! {
            Some((node, told)) = asked.next() => {
                waited_for.retain(|other| *other != node);
                match told {
                    Ok(found) => return Ok(found),
                    Err(error) => failures.push((node, error)),
                }
            }
            () = sleep(pause), if !is_next_due && nodes.len() > 0 => {
                waited_for.drain(..).for_each(&is_slow);
            }
            () = ready(()), if is_next_due => {}
        }
        if let Some(node) = nodes.next() {
            waited_for.push(node);
            asked.push(asking(node));
        }
    }
}

fn key(wanted: &Wanted) -> HeapAt {
    HeapAt::new(&wanted.tenant, wanted.id)
}

/// What it takes to unpack, seal and write a heap, or to read one, on any disk.
fn time_to_store(shape: Shape) -> Duration {
    Duration::from_millis(shape.snapshot_bytes * 1000 / SNAPSHOT_VERIFY_BYTES_PER_SEC)
}
