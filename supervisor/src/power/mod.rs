//! What a loss of power leaves of SQLite's files.
//!
//! ```text
//! SQLite ─▶ vfs: writes down what happens to files ─▶ Recording ─▶ image: what one crash could leave
//!            └─▶ SQLite's own way to the system (real files, locks, shared memory)
//! ```
//!
//! Programs are opened on a directory that is watched, with nothing changed in them. A system keeps what was
//! written before the last sync of a file. Of what was written since, it keeps any part: of each file any
//! 512 bytes or not, whatever their order; one of them in part; whatever became of the other files. So the
//! recording of one run holds a crash at each of its writes, each with more outcomes than can be tried.
//!
//! What is written and synced without SQLite (snapshots that arrive) is not seen here.

mod image;
mod recording;
mod tests;
mod vfs;

pub(crate) use self::image::Image;
pub(crate) use self::recording::Recording;
