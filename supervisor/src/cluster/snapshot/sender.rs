//! How a snapshot is sent: it is offered, the pieces that are missing follow, then the message. What
//! breaks is taken up where it broke.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::shelf;
use crate::cluster::desk::Desk;
use crate::cluster::line::{Answer, Line, Question};
use crate::cluster::link::{Parcel, time_for};
use crate::cluster::routes::{self, SNAPSHOT_FINISH, SNAPSHOT_OFFER, SNAPSHOT_PIECE, shapes::Next};
use crate::limits::{
    PEER_PAUSE_MAX, PEER_PAUSE_MIN, SNAPSHOT_BYTES_PER_SEC, SNAPSHOT_FAILURES_MAX,
    SNAPSHOT_PIECE_BYTES, SNAPSHOT_PIECE_WAIT_MAX, SNAPSHOT_VERIFY_BYTES_PER_SEC,
};
use crate::metrics::Way;
use crate::raft::codec;
use crate::raft::core::Event;

/// Why a snapshot does not arrive.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum SendError {
    /// It broke, and broke again.
    #[error("{0}")]
    Broken(String),
    /// The other end does not want it, or has got something else.
    #[error("{problem} ({status})")]
    Refused { status: StatusCode, problem: String },
    /// The file cannot be read here.
    #[error("the file cannot be read: {0}")]
    File(std::io::Error),
}

/// Sends a snapshot, and its message.
pub(in crate::cluster) async fn send(desk: &Arc<Desk>, parcel: Parcel) -> Result<(), SendError> {
    let message = codec::encode(&parcel.packet);
    let message = message.map_err(|error| SendError::Broken(error.to_string()))?;
    let mut sending = Sending {
        desk,
        line: None,
        message: message.into(),
        parcel: Arc::new(parcel),
        failures: 0,
    };
    let mut pause = PEER_PAUSE_MIN;
    loop {
        let failures = sending.failures;
        match sending.attempt().await {
            Err(SendError::Broken(problem)) => {
                if sending.failures < failures {
                    pause = PEER_PAUSE_MIN;
                }
                sending.failures += 1;
                if sending.failures >= SNAPSHOT_FAILURES_MAX {
                    return Err(SendError::Broken(problem));
                }
                sleep(pause).await;
                pause = (pause * 2).min(PEER_PAUSE_MAX);
            }
            ended => return ended,
        }
    }
}

struct Sending<'a> {
    desk: &'a Arc<Desk>,
    line: Option<Line>,
    message: Bytes,
    parcel: Arc<Parcel>,
    /// In a row.
    failures: u32,
}

impl Sending<'_> {
    async fn attempt(&mut self) -> Result<(), SendError> {
        let offer = self.message.clone();
        let answer = self
            .ask(SNAPSHOT_OFFER, offer, SNAPSHOT_PIECE_WAIT_MAX)
            .await?;
        let mut next = next_of(&answer)?;
        let manifest = self.parcel.manifest;
        while next < manifest.bytes {
            let began = Instant::now();
            let piece = self.piece(next).await?;
            let length = piece.len() as u64;
            let offset = next.to_le_bytes();
            let body = [&manifest.sha256[..], &offset, &piece].concat();
            let patience = SNAPSHOT_PIECE_WAIT_MAX + time_for(body.len());
            let answer = self.ask(SNAPSHOT_PIECE, body.into(), patience).await?;
            let after = next_of(&answer)?;
            if after <= next {
                return Err(SendError::Broken("no piece gets there".to_owned()));
            }
            self.desk
                .figures
                .sent_bytes
                .of(Way::Snapshot)
                .inc_by(length);
            (next, self.failures) = (after, 0);
            sleep_until(began + Duration::from_micros(length * 1_000_000 / SNAPSHOT_BYTES_PER_SEC))
                .await;
        }
        let verify = Duration::from_secs(manifest.bytes / SNAPSHOT_VERIFY_BYTES_PER_SEC);
        let patience = SNAPSHOT_PIECE_WAIT_MAX + verify;
        self.ask(SNAPSHOT_FINISH, self.message.clone(), patience)
            .await?;
        Ok(())
    }

    async fn piece(&self, offset: u64) -> Result<Vec<u8>, SendError> {
        let parcel = Arc::clone(&self.parcel);
        let rest = parcel.manifest.bytes.saturating_sub(offset);
        let most = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(SNAPSHOT_PIECE_BYTES);
        let read = spawn_blocking(move || shelf::piece(&parcel.file, offset, most)).await;
        let piece = match read {
            Ok(piece) => piece.map_err(SendError::File)?,
            Err(error) => return Err(SendError::File(error.into())),
        };
        if piece.is_empty() {
            return Err(SendError::File(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(piece)
    }

    async fn ask(
        &mut self,
        path: &'static str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, SendError> {
        let target = self.desk.target(self.parcel.packet.to);
        let target =
            target.ok_or_else(|| SendError::Broken("its address is not known".to_owned()))?;
        let line = self.desk.line(&mut self.line, target);
        let question = Question {
            method: Method::POST,
            path,
            body,
            patience,
        };
        let answer = line.ask(&question).await;
        let answer = answer.map_err(|error| SendError::Broken(error.to_string()))?;
        let problem = || routes::shapes::problem(&answer.body);
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::GONE => {
                self.desk.tell(Event::ToldRemoved);
                let problem = problem();
                let status = answer.status;
                Err(SendError::Refused { status, problem })
            }
            StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::BAD_REQUEST
            | StatusCode::INSUFFICIENT_STORAGE => {
                let problem = problem();
                let status = answer.status;
                Err(SendError::Refused { status, problem })
            }
            status => Err(SendError::Broken(format!("{} ({status})", problem()))),
        }
    }
}

fn next_of(answer: &Answer) -> Result<u64, SendError> {
    let next = serde_json::from_slice::<Next>(&answer.body);
    let next = next.map_err(|error| SendError::Broken(error.to_string()))?;
    Ok(next.next)
}
