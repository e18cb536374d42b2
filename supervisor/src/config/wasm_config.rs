//! The file that `--wasm-config` names: `{"name": "/path.wasm", ...}`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// The largest such file, in bytes.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// What can be wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// It cannot be read.
    #[error("it cannot be read ({0}); correct the path, or the file's permissions")]
    Unreadable(String),
    /// It is too large.
    #[error("it is larger than {LIST_BYTES_MAX} bytes; list fewer modules")]
    TooLarge,
    /// It is not such a list.
    #[error("it is not JSON of the form {{\"name\": \"/path.wasm\"}}: {0}")]
    Syntax(String),
}

/// Names and paths in the order of the file. A name that comes twice comes twice.
struct List(Vec<(String, String)>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose values are paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = map.next_entry()? {
            list.push(entry);
        }
        Ok(List(list))
    }
}

/// Reads it.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, ListFault> {
    let unreadable = |error: io::Error| ListFault::Unreadable(error.to_string());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(ListFault::TooLarge);
    }
    let list: Result<List, _> = serde_json::from_slice(&bytes);
    list.map(|List(entries)| entries)
        .map_err(|error| ListFault::Syntax(error.to_string()))
}
