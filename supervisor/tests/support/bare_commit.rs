//! The floor of a change that all nodes of a cluster make: SQLite alone commits the same bytes on one disk.
//! Threads as many as the first argument says hand over texts of so many bytes as the second says; one
//! thread commits all that have come in one transaction, durably. It goes on for as many milliseconds as the
//! third says, in a database at the fourth, and writes the microseconds of each change.
//! `scripts/bench cluster` runs it.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Changes of one transaction: as many as a node takes at once.
const TOGETHER_MAX: usize = 256;

/// A text, and whom to tell when it is safe.
type Change = (String, SyncSender<()>);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [clients, bytes, millis, path] = &words[..] else {
        return Err("clients, bytes, milliseconds and a path are needed".into());
    };
    let (clients, bytes): (usize, usize) = (clients.parse()?, bytes.parse()?);
    let until = Instant::now() + Duration::from_millis(millis.parse()?);
    let mut database = open(Path::new(path))?;
    let (sender, changes) = sync_channel::<Change>(TOGETHER_MAX);
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || ask(&sender, bytes, until))
        })
        .collect();
    drop(sender);
    commit(&mut database, &changes)?;
    let mut output = std::io::stdout().lock();
    for client in clients {
        for took in client.join().map_err(|_| "a client has panicked")? {
            writeln!(output, "{}", took.as_micros())?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.execute_batch("CREATE TABLE log (number INTEGER PRIMARY KEY, text TEXT NOT NULL)")?;
    Ok(database)
}

fn ask(sender: &SyncSender<Change>, bytes: usize, until: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let begin = Instant::now();
        let (done, is_done) = sync_channel(1);
        if sender.send(("x".repeat(bytes), done)).is_err() || is_done.recv().is_err() {
            break;
        }
        took.push(begin.elapsed());
    }
    took
}

fn commit(database: &mut Connection, changes: &Receiver<Change>) -> Result<(), rusqlite::Error> {
    while let Ok(first) = changes.recv() {
        let mut told = Vec::new();
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO log (text) VALUES (?1)")?;
            for (text, done) in std::iter::once(first).chain(changes.try_iter()) {
                insert.execute([text])?;
                told.push(done);
                if told.len() == TOGETHER_MAX {
                    break;
                }
            }
        }
        transaction.commit()?;
        for done in told {
            // Whoever has gone does not care.
            let _ = done.send(());
        }
    }
    Ok(())
}
