//! The writes, each within a transaction of the writer.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::doomed::{Adoption, DoomedHeap};
use super::error::StoreError;
use super::record::{CancelledBy, ExecutionId};
use super::replica::{self, Replica};
use super::source;
use crate::raft::command::{Command, Execution, Outcome};

/// A piece of output: whole characters, at most [`crate::limits::OUTPUT_CHUNK_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Whose.
    pub id: ExecutionId,
    /// Bytes of the output before it.
    pub start_byte: u64,
    /// Newlines of the output before it.
    pub newlines_before: u64,
    /// The text; not empty.
    pub data: String,
}

/// One change of the database.
#[derive(Debug)]
pub(super) enum Write {
    /// A new execution of this node, and its code.
    Accept(Box<Execution>, Arc<String>),
    /// An execution of this node has started.
    Start(Box<Execution>),
    Output(Chunk),
    /// A change of what is shared, by a single node.
    Change(Command),
    /// A heap that is stored and that nobody here knows is to go.
    Doom(DoomedHeap),
    /// The content of a doomed heap is gone.
    Bury(DoomedHeap),
    /// A stored heap is written down, unless it is doomed here.
    Adopt(Adoption),
}

/// Who says what is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// This node, which is alone.
    Alone,
    /// The log of a cluster.
    Cluster,
}

impl Write {
    /// What it adds to a transaction, in bytes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Accept(_, code) => 256 + code.len(),
            Self::Start(_) | Self::Doom(_) | Self::Bury(_) | Self::Adopt(_) => 128,
            Self::Output(chunk) => 128 + chunk.data.len(),
            Self::Change(command) => command.size(),
        }
    }

    /// How many commands of a single node it stands for.
    pub(super) const fn commands(&self, rule: Rule) -> u64 {
        match (rule, self) {
            (Rule::Alone, Self::Accept(..) | Self::Start(_) | Self::Change(_) | Self::Adopt(_)) => {
                1
            }
            (Rule::Cluster, _) | (_, Self::Output(_) | Self::Doom(_) | Self::Bury(_)) => 0,
        }
    }

    pub(super) fn apply(&self, connection: &Connection, rule: Rule) -> Result<Outcome, StoreError> {
        match self {
            Self::Accept(execution, code) => {
                match rule {
                    Rule::Alone => replica::begin(connection, execution)?,
                    Rule::Cluster => replica::accept_here(connection, execution)?,
                }
                source::write(connection, ExecutionId::from_key(execution.id), code)?;
                Ok(Outcome::Done)
            }
            Self::Start(execution) => {
                match rule {
                    Rule::Alone => replica::begin(connection, execution)?,
                    Rule::Cluster => replica::start_here(connection, execution)?,
                }
                Ok(Outcome::Done)
            }
            Self::Output(chunk) => {
                append(connection, chunk)?;
                Ok(Outcome::Done)
            }
            Self::Change(command) => change(connection, command, rule),
            Self::Doom(heap) => heap.doom_orphan(connection),
            Self::Bury(heap) => {
                heap.bury(connection)?;
                Ok(Outcome::Done)
            }
            Self::Adopt(adoption) => {
                if adoption.is_doomed(connection)? {
                    return Ok(Outcome::Missing);
                }
                change(connection, &adoption.command(), rule)
            }
        }
    }
}

/// What is shared changes by the log of the cluster, or not at all.
fn change(connection: &Connection, command: &Command, rule: Rule) -> Result<Outcome, StoreError> {
    match rule {
        Rule::Alone => Replica::new(connection).perform(command),
        Rule::Cluster => Err(StoreError::Shared),
    }
}

fn append(connection: &Connection, chunk: &Chunk) -> rusqlite::Result<()> {
    let data = chunk.data.as_bytes();
    let newlines = data.iter().filter(|byte| **byte == b'\n').count() as u64;
    connection
        .prepare_cached(
            "INSERT INTO output (execution, start_byte, newlines_before, data)
             SELECT seq, ?2, ?3, ?4 FROM executions WHERE id = ?1",
        )?
        .execute(params![
            chunk.id.0.as_bytes(),
            integer(chunk.start_byte),
            integer(chunk.newlines_before),
            data,
        ])?;
    connection
        .prepare_cached(
            "UPDATE executions
             SET output_bytes = ?2, output_newlines = ?3, output_mid_line = ?4
             WHERE id = ?1",
        )?
        .execute(params![
            chunk.id.0.as_bytes(),
            integer(chunk.start_byte + data.len() as u64),
            integer(chunk.newlines_before + newlines),
            data.last() != Some(&b'\n'),
        ])?;
    Ok(())
}

/// SQLite's integers are signed. No count of ours comes near the difference.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl CancelledBy {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Shutdown => "shutdown",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Client, Self::Shutdown]
            .into_iter()
            .find(|by| by.name() == name)
    }
}
