//! The one thread that writes the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use super::chain::{self, Anchor, ChainKey, Link};
use super::event::{Entry, Event, FoldKey};
use super::files::{self, AnchorFile, Current};
use super::fold::Folds;
use crate::limits::{AUDIT_BATCH_LENGTH_MAX, AUDIT_RETRY_PAUSE};

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    Note(Box<Entry>),
    /// Write what is left, and end.
    Close(oneshot::Sender<()>),
}

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Events that found no place.
    pub(super) lost: AtomicU64,
    /// Nobody waits for what cannot be written any more.
    pub(super) is_closing: AtomicBool,
}

/// When a file is put aside, and how many are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    pub(super) file_bytes_max: u64,
    pub(super) files_max: u64,
}

/// How much of a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    /// Its lines, but not the anchor.
    Lines,
}

/// The writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) key: ChainKey,
    pub(super) rotation: Rotation,
    pub(super) current: Current,
    pub(super) anchor_file: AnchorFile,
    pub(super) anchor: Anchor,
    pub(super) last: Link,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) trouble: watch::Sender<Option<String>>,
    pub(super) signs: Arc<Signs>,
}

impl Writer {
    /// Writes until it is told to end, or nobody is left to tell.
    pub(super) async fn serve(mut self) {
        let began = Instant::now();
        let mut folds: Folds<FoldKey, Event> = Folds::new();
        let mut closed = None;
        while closed.is_none() {
            let mut entries = Vec::new();
            let due = folds.next_due().map(|due| (began + due).into());
            tokio::select! {
                biased;
                message = self.messages.recv() => match message {
                    Some(message) => closed = take(message, &mut folds, began, &mut entries),
                    None => break,
                },
                () = async { sleep_until(due.unwrap_or_else(tokio::time::Instant::now)).await },
                    if due.is_some() => {}
            }
            while closed.is_none() && entries.len() < AUDIT_BATCH_LENGTH_MAX {
                match self.messages.try_recv() {
                    Ok(message) => closed = take(message, &mut folds, began, &mut entries),
                    Err(_) => break,
                }
            }
            let held = folds.due(began.elapsed());
            entries.extend(held.into_iter().map(unfolded));
            self.note_losses(&mut entries);
            self.write(entries).await;
        }
        let mut entries: Vec<Entry> = folds.all().into_iter().map(unfolded).collect();
        self.note_losses(&mut entries);
        entries.push(Entry::now(Event::ServerStopped {}));
        self.write(entries).await;
        if let Err(error) = self.anchor_file.sync() {
            tracing::error!(%error, "the anchor of the audit log could not be made durable");
        }
        // Whoever hears of the end may open the log again.
        drop(self);
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    fn note_losses(&self, entries: &mut Vec<Entry>) {
        let count = self.signs.lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            entries.push(Entry::now(Event::EventsLost { count }));
        }
    }

    /// Writes lines, however long it takes: until then nothing new is accepted.
    async fn write(&mut self, entries: Vec<Entry>) {
        let mut lines = String::new();
        for entry in &entries {
            match chain::seal(&self.key, &mut self.last, entry) {
                Ok(line) => {
                    lines.push_str(&line);
                    lines.push('\n');
                }
                Err(error) => tracing::error!(%error, "a line of the audit log has no form"),
            }
        }
        if lines.is_empty() {
            return;
        }
        let mut progress = Progress::Nothing;
        while let Err(error) = self.put(lines.as_bytes(), &mut progress) {
            let problem = error.to_string();
            if self.trouble.borrow().is_none() {
                tracing::error!(%error, path = %self.path.display(),
                    "the audit log cannot be written: nothing is accepted until it can");
            }
            self.trouble.send_replace(Some(problem));
            if self.signs.is_closing.load(Ordering::Relaxed) {
                tracing::error!(
                    lines = entries.len(),
                    "the last lines of the audit log are lost"
                );
                return;
            }
            sleep(AUDIT_RETRY_PAUSE).await;
        }
        if self.trouble.borrow().is_some() {
            tracing::info!("the audit log can be written again");
            self.trouble.send_replace(None);
        }
    }

    fn put(&mut self, lines: &[u8], progress: &mut Progress) -> io::Result<()> {
        if *progress == Progress::Nothing {
            let length = self.current.length();
            if length > 0 && length + lines.len() as u64 > self.rotation.file_bytes_max {
                self.rotate()?;
            }
            self.current.write(lines)?;
            *progress = Progress::Lines;
        }
        self.anchor.last = self.last;
        self.anchor_file.write(&self.anchor, &self.key)
    }

    /// Puts the file aside, and begins another.
    fn rotate(&mut self) -> io::Result<()> {
        let numbers = files::all(&self.path)?;
        let kept = self.rotation.files_max;
        // Those that would be too many once each has moved on.
        let (gone, stay): (Vec<u64>, Vec<u64>) =
            numbers.into_iter().partition(|number| *number + 1 > kept);
        if let Some(oldest) = stay.first()
            && !gone.is_empty()
        {
            let line = files::first_line(&files::aside(&self.path, *oldest))?;
            let first = line.and_then(|line| chain::read(&self.key, &line).ok());
            if let Some(first) = first {
                // Said before they go: more than is said is no break.
                self.anchor.first_seq = first.link.seq;
                self.anchor_file.write(&self.anchor, &self.key)?;
                self.anchor_file.sync()?;
            }
        }
        for number in gone {
            std::fs::remove_file(files::aside(&self.path, number))?;
        }
        for number in stay {
            let (from, to) = (
                files::aside(&self.path, number),
                files::aside(&self.path, number + 1),
            );
            std::fs::rename(from, to)?;
        }
        self.current = Current::open(&self.path, 0)?;
        files::sync_directory(&self.path)
    }
}

/// Takes a message up; whom to tell of the end, where it is one.
fn take(
    message: Message,
    folds: &mut Folds<FoldKey, Event>,
    began: Instant,
    entries: &mut Vec<Entry>,
) -> Option<oneshot::Sender<()>> {
    match message {
        Message::Close(closed) => Some(closed),
        Message::Note(entry) => {
            let Some(key) = entry.event.fold_key() else {
                entries.push(*entry);
                return None;
            };
            let Entry { time, event, times } = *entry;
            let told = folds.add(key, event, began.elapsed());
            entries.extend(told.map(|event| Entry { time, event, times }));
            None
        }
    }
}

fn unfolded((event, number): (Event, u64)) -> Entry {
    Entry {
        times: Some(number),
        ..Entry::now(event)
    }
}
