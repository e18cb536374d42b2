//! Which databases use a directory of heaps: a file for each, named by the database's id.
//!
//! What one database does not know, another may need. So nothing is removed from a directory that
//! several use, unless somebody who knows better says so.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use uuid::Uuid;

use super::files::Files;

const USERS_NAME: &str = "users";
const SUFFIX: &str = ".user";
const ABOUT_BYTES_MAX: u64 = 8 << 10;

/// A database whose heaps are in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapUser {
    /// Its id: 32 hexadecimal digits, behind a word where it is part of a cluster.
    pub id: String,
    /// Where it is, for people.
    pub about: String,
    /// When it was noted last.
    pub seen_at: SystemTime,
}

/// Before the id of a node's database, whose heaps its cluster knows of.
const NODE: &str = "node-";
/// Before the id of a cluster, all of whose nodes use one place.
const CLUSTER: &str = "cluster-";

impl HeapUser {
    /// A database, seen now.
    pub fn new(id: String, about: String) -> Self {
        Self {
            id,
            about,
            seen_at: SystemTime::now(),
        }
    }

    /// The database of a node, which has the place for itself.
    pub fn node(id: &str, about: String) -> Self {
        Self::new(format!("{NODE}{id}"), about)
    }

    /// A cluster whose nodes all use the place.
    pub fn cluster(id: &str, about: String) -> Self {
        Self::new(format!("{CLUSTER}{id}"), about)
    }

    /// Whether a cluster needs what is there: nobody who stands outside knows what that is.
    pub fn is_of_cluster(&self) -> bool {
        self.id.starts_with(NODE) || self.id.starts_with(CLUSTER)
    }
}

/// Notes a user, or that it is still there.
pub(super) fn enter<F: Files>(files: &F, place: &Path, user: &HeapUser) -> io::Result<()> {
    let users = place.join(USERS_NAME);
    files.make_directory(&users)?;
    let path = users.join(format!("{}{SUFFIX}", user.id));
    if let Ok(file) = files.open(&path)
        && files.read(&file, ABOUT_BYTES_MAX)? == user.about.as_bytes()
    {
        return files.touch(&file);
    }
    let new = users.join(format!(".{}.new", Uuid::new_v4().as_simple()));
    let written = || {
        let file = files.create(&new)?;
        files.write(&file, user.about.as_bytes())?;
        files.sync(&file)?;
        files.rename(&new, &path)
    };
    written().inspect_err(|_: &io::Error| {
        // It is tiny, and means nothing, where this fails too.
        let _ = files.remove(&new);
    })?;
    for directory in [&users, place] {
        files.sync(&files.open(directory)?)?;
    }
    Ok(())
}

/// All users.
pub(super) fn users<F: Files>(files: &F, place: &Path) -> io::Result<Vec<HeapUser>> {
    let entries = match fs::read_dir(place.join(USERS_NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(id) = name.strip_suffix(SUFFIX) else {
            continue;
        };
        let file = files.open(&entry.path())?;
        let about = files.read(&file, ABOUT_BYTES_MAX)?;
        found.push(HeapUser {
            id: id.to_owned(),
            about: String::from_utf8_lossy(&about).into_owned(),
            seen_at: files.about(&file)?.modified()?,
        });
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

/// Forgets a user.
pub(super) fn dismiss<F: Files>(files: &F, place: &Path, id: &str) -> io::Result<()> {
    let path = place.join(USERS_NAME).join(format!("{id}{SUFFIX}"));
    match files.remove(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heaps::blobs::files::Disk;

    #[test]
    fn users_are_noted_once_and_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let user = |id: &str, about: &str| HeapUser {
            id: id.to_owned(),
            about: about.to_owned(),
            seen_at: SystemTime::now(),
        };
        let ids = || {
            let found = users(&Disk, place.path()).unwrap();
            let texts = found.into_iter().map(|user| (user.id, user.about));
            texts.collect::<Vec<_>>()
        };
        assert_eq!(ids(), []);
        for (id, about) in [("b", "two"), ("a", "one"), ("b", "two"), ("b", "moved")] {
            enter(&Disk, place.path(), &user(id, about)).unwrap();
        }
        let text = |text: &str| text.to_owned();
        assert_eq!(
            ids(),
            [(text("a"), text("one")), (text("b"), text("moved"))]
        );
        for _ in 0..2 {
            dismiss(&Disk, place.path(), "b").unwrap();
        }
        assert_eq!(ids(), [(text("a"), text("one"))]);
        let files = fs::read_dir(place.path().join(USERS_NAME)).unwrap();
        assert_eq!(files.count(), 1);
    }
}
