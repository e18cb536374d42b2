//! Where other nodes are given heaps of this one, and leave theirs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use super::transfers::{Added, Incoming, Lost, NoRoom, Transfers};
use super::words::{self, Garbled, Name, Place, Said, Size, Told, piece_bytes};
use crate::heaps::{HeapAt, HeapError, HeapId, Keeper, Packed, Shape, TenantFolder, Wanted};
use crate::limits::{
    HEAP_ANSWER_WAIT_MAX, HEAP_ANSWERS_AT_ONCE, HEAP_RECOUNT_LENGTH, HEAP_TRANSFER_SILENCE_MAX,
};
use crate::raft::ids::RaftId;

/// It. Members are trusted with the heaps of all tenants.
#[derive(Debug)]
pub(in crate::cluster) struct Counter {
    keeper: Keeper,
    half_said: Mutex<HalfSaid>,
    /// For what takes memory and time.
    hands: Semaphore,
}

#[derive(Debug)]
struct HalfSaid {
    transfers: Transfers,
    /// Whether somebody comes by and ends those that are silent.
    is_tended: bool,
}

impl Counter {
    pub(in crate::cluster) fn new(keeper: Keeper) -> Self {
        let mut first = [0; 8];
        // Without randomness they are counted from 0.
        let _ = getrandom::fill(&mut first);
        Self {
            keeper,
            half_said: Mutex::new(HalfSaid {
                transfers: Transfers::from(u64::from_le_bytes(first)),
                is_tended: false,
            }),
            hands: Semaphore::new(HEAP_ANSWERS_AT_ONCE),
        }
    }

    /// Answers a member.
    pub(in crate::cluster) async fn answer(
        self: &Arc<Self>,
        from: RaftId,
        said: &[u8],
    ) -> Result<Bytes, Garbled> {
        let told = match words::decode(said)? {
            Said::Fetch(name) => self.fetch(from, &name.read()?).await,
            Said::FetchMore { transfer, offset } => self.fetch_more((from, transfer), offset),
            Said::Keep { name, size, piece } => self.keep(from, (name, size), piece).await?,
            Said::KeepMore {
                transfer,
                offset,
                piece,
            } => self.keep_more((from, transfer), (offset, &piece)).await,
            Said::Which(places) => self.which(&places).await?,
        };
        Ok(words::encode(&told)?.into())
    }

    async fn fetch(self: &Arc<Self>, to: RaftId, wanted: &Wanted) -> Told {
        let Some(_hand) = self.hand().await else {
            return Told::Busy;
        };
        match self.keeper.give(wanted).await {
            Ok(packed) => self.begin(to, &packed).unwrap_or(Told::Busy),
            Err(HeapError::Unknown { .. }) => Told::Missing,
            Err(HeapError::Incompatible { found, .. }) => Told::OtherBuild(found),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    fn begin(self: &Arc<Self>, to: RaftId, packed: &Packed) -> Result<Told, NoRoom> {
        let (shape, payload) = (packed.shape(), packed.payload());
        let first = payload.slice(..piece_bytes(shape.payload_bytes, 0));
        let transfer = if first.len() == payload.len() {
            // Nobody asks for more of it.
            0
        } else {
            let mut half_said = self.tended();
            half_said
                .transfers
                .give(to, payload.clone(), Instant::now())?
        };
        Ok(Told::Begins {
            transfer,
            size: Size::new(shape),
            piece: first.into(),
        })
    }

    fn fetch_more(&self, whose: (RaftId, u64), offset: u64) -> Told {
        let mut half_said = self.half_said();
        match half_said.transfers.piece(whose, offset, Instant::now()) {
            Ok(piece) => Told::Piece(piece.into()),
            Err(Lost) => Told::Lost,
        }
    }

    async fn keep(
        self: &Arc<Self>,
        from: RaftId,
        (name, size): (Name, Size),
        first: Vec<u8>,
    ) -> Result<Told, Garbled> {
        let (wanted, shape) = (name.read()?, size.read()?);
        if first.len() != piece_bytes(shape.payload_bytes, 0) {
            return Err(Garbled);
        }
        if first.len() as u64 == shape.payload_bytes {
            return Ok(self.take(Incoming { wanted, shape }, first).await);
        }
        match self.renew(&wanted).await {
            Some(true) => return Ok(Told::Kept),
            Some(false) => {}
            None => return Ok(Told::Busy),
        }
        let incoming = Incoming { wanted, shape };
        let mut half_said = self.tended();
        let begun = half_said
            .transfers
            .take(from, (incoming, &first), Instant::now());
        Ok(match begun {
            Ok(transfer) => Told::GoOn { transfer },
            Err(NoRoom) => Told::Busy,
        })
    }

    async fn keep_more(&self, whose: (RaftId, u64), piece: (u64, &[u8])) -> Told {
        let added = {
            let mut half_said = self.half_said();
            half_said.transfers.add(whose, piece, Instant::now())
        };
        match added {
            Ok(Added::More) => Told::GoOn { transfer: whose.1 },
            Ok(Added::Whole(incoming, payload)) => self.take(incoming, payload).await,
            Err(Lost) => Told::Lost,
        }
    }

    /// Whether a heap need not be brought, because it is here; `None` where nobody has time to look.
    async fn renew(&self, wanted: &Wanted) -> Option<bool> {
        let _hand = self.hand().await?;
        // Where it cannot be read it is written again, or that says why not.
        Some(self.keeper.renew(wanted).await.unwrap_or(false))
    }

    async fn which(&self, places: &[Place]) -> Result<Told, Garbled> {
        if places.len() > HEAP_RECOUNT_LENGTH {
            return Err(Garbled);
        }
        let Some(_hand) = self.hand().await else {
            return Ok(Told::Busy);
        };
        let places = places.iter().map(|(folder, id)| HeapAt {
            folder: TenantFolder::from_bytes(*folder),
            id: HeapId::from_bytes(*id),
        });
        Ok(match self.keeper.which(places.collect()).await {
            Ok(has) => Told::Has(has),
            Err(error) => Told::Refused(error.to_string()),
        })
    }

    async fn take(&self, incoming: Incoming, payload: Vec<u8>) -> Told {
        let Some(_hand) = self.hand().await else {
            return Told::Busy;
        };
        let Incoming { wanted, shape } = incoming;
        match self.take_whole(&wanted, (shape, payload.into())).await {
            Ok(()) => Told::Kept,
            Err(error) => {
                tracing::warn!(heap = %wanted.id, %error, "a heap of another node could not be kept");
                Told::Refused(error.to_string())
            }
        }
    }

    async fn take_whole(
        &self,
        wanted: &Wanted,
        (shape, payload): (Shape, Bytes),
    ) -> Result<(), HeapError> {
        let id = wanted.id;
        let packed = Packed::new(shape, payload);
        let packed = packed.map_err(|why| HeapError::Damaged { id, why })?;
        self.keeper.take(wanted, packed).await
    }

    async fn hand(&self) -> Option<SemaphorePermit<'_>> {
        let hand = timeout(HEAP_ANSWER_WAIT_MAX, self.hands.acquire()).await;
        hand.ok()?.ok()
    }

    fn half_said(&self) -> MutexGuard<'_, HalfSaid> {
        self.half_said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, where something is about to begin: somebody will come by.
    fn tended(self: &Arc<Self>) -> MutexGuard<'_, HalfSaid> {
        let mut half_said = self.half_said();
        if !half_said.is_tended {
            half_said.is_tended = true;
            tokio::spawn(tend(Arc::downgrade(self)));
        }
        half_said
    }
}

/// Ends what is silent, as long as there is anything: a node that has gone leaves nothing in memory.
async fn tend(counter: Weak<Counter>) {
    loop {
        sleep(HEAP_TRANSFER_SILENCE_MAX).await;
        let Some(counter) = counter.upgrade() else {
            return;
        };
        let mut half_said = counter.half_said();
        if !half_said.transfers.sweep(Instant::now()) {
            half_said.is_tended = false;
            return;
        }
    }
}
