//! What other members want to know of this one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use tokio::time::timeout;

use super::{Refusal, member};
use crate::cluster::desk::Desk;
use crate::cluster::trust::door::Guest;
use crate::limits::{PHONE_ANSWER_BYTES_MAX, PHONE_ANSWER_WAIT_MAX};

/// Looks for the answer for as long as somebody waits for it: this ends with its connection.
pub(super) async fn answer(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    question: Bytes,
) -> Result<Bytes, Refusal> {
    let (_, node) = member(&desk, &guest)?;
    let answer = timeout(PHONE_ANSWER_WAIT_MAX, node.answers.answer(question)).await;
    let answer = answer.map_err(|_| Refusal::NoAnswer)?;
    if answer.len() > PHONE_ANSWER_BYTES_MAX {
        return Err(Refusal::LongAnswer(PHONE_ANSWER_BYTES_MAX));
    }
    Ok(answer)
}
