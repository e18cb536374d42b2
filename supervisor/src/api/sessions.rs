//! Sessions as clients see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::ArgumentError;
use super::request::{CURSOR_CHARS_MAX, OFFSET_MAX};
use crate::app::{self, EntriesPage, SessionEntry, SessionName, SessionsRequest, SnapshotsRequest};
use crate::limits;

/// The longest list of fields, in characters: all of them, and some blanks.
pub const FIELDS_CHARS_MAX: u32 = 256;

/// List sessions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionsArguments {
    /// How many. Default 1000.
    #[schemars(with = "u32", range(min = 1, max = limits::LIST_LENGTH_MAX))]
    #[serde(default)]
    pub limit: Option<u32>,
    /// The next_cursor of the page before. Default: the first page.
    #[schemars(with = "String", length(max = CURSOR_CHARS_MAX))]
    #[serde(default)]
    pub cursor: Option<String>,
}

impl From<SessionsArguments> for SessionsRequest {
    fn from(arguments: SessionsArguments) -> Self {
        Self {
            limit: arguments.limit.unwrap_or(limits::LIST_LENGTH_MAX),
            cursor: arguments.cursor,
        }
    }
}

/// A page of the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SessionList {
    /// Their names, the last begun first.
    pub sessions: Vec<String>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<app::SessionList> for SessionList {
    fn from(list: app::SessionList) -> Self {
        let names = list.sessions.iter().map(SessionName::to_string);
        Self {
            sessions: names.collect(),
            next_cursor: list.next_cursor,
        }
    }
}

/// List the heaps that a session has left behind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsArguments {
    /// The session's name, as run_js was given it.
    #[schemars(length(min = 1, max = limits::SESSION_NAME_CHARS_MAX))]
    pub session: String,
    /// Which fields each entry has, separated by commas: index, input_heap, output_heap, code,
    /// timestamp. Default: all. Leave code out where it is long.
    #[schemars(with = "String", length(min = 1, max = FIELDS_CHARS_MAX))]
    #[serde(default)]
    pub fields: Option<String>,
    /// The index of the first entry, from 0. Default 0.
    #[schemars(with = "u64", range(min = 0, max = OFFSET_MAX))]
    #[serde(default)]
    pub from_index: Option<u64>,
    /// How many entries. Default 10000. Fewer come where their code is long.
    #[schemars(with = "u32", range(min = 1, max = limits::SESSION_ENTRIES_LENGTH_MAX))]
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A field of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryField {
    /// Its place in the session.
    Index,
    /// The heap that it started from.
    InputHeap,
    /// The heap that it left behind.
    OutputHeap,
    /// Its code.
    Code,
    /// When it completed.
    Timestamp,
}

impl EntryField {
    /// All of them, in the order of an entry.
    pub const ALL: [Self; 5] = [
        Self::Index,
        Self::InputHeap,
        Self::OutputHeap,
        Self::Code,
        Self::Timestamp,
    ];

    /// The name that clients use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::InputHeap => "input_heap",
            Self::OutputHeap => "output_heap",
            Self::Code => "code",
            Self::Timestamp => "timestamp",
        }
    }
}

/// A field that an entry does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a field of an entry; fields: {}, separated by commas",
    EntryField::ALL.map(EntryField::name).join(", ")
)]
pub struct UnknownField {
    /// What was given.
    given: String,
}

impl SnapshotsArguments {
    /// Which session is meant, what of it, and which fields.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn request(
        self,
    ) -> Result<(SessionName, SnapshotsRequest, Vec<EntryField>), ArgumentError> {
        let session = self.session.parse()?;
        let fields = match &self.fields {
            None => EntryField::ALL.to_vec(),
            Some(list) => fields(list)?,
        };
        let request = SnapshotsRequest {
            from_index: self.from_index.unwrap_or(0),
            limit: self.limit.unwrap_or(limits::SESSION_ENTRIES_LENGTH_MAX),
            with_code: fields.contains(&EntryField::Code),
        };
        Ok((session, request, fields))
    }
}

fn fields(list: &str) -> Result<Vec<EntryField>, UnknownField> {
    let field = |name: &str| {
        let known = EntryField::ALL.into_iter();
        known
            .clone()
            .find(|field| field.name() == name)
            .ok_or_else(|| UnknownField {
                given: name.to_owned(),
            })
    };
    list.split(',').map(|name| field(name.trim())).collect()
}

/// Entries of a session, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Snapshots {
    /// One for each execution that completed with this session and left a heap behind, oldest first.
    pub entries: Vec<Entry>,
    /// The from_index of the next page; null on the last one.
    pub next_index: Option<u64>,
}

/// An execution that left a heap behind. It has the fields that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    /// Its place in the session, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub index: Option<u64>,
    /// The heap that it started from; null for a fresh one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub input_heap: Option<Option<String>>,
    /// The heap that it left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub output_heap: Option<String>,
    /// The code, as it was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub code: Option<String>,
    /// When it completed (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub timestamp: Option<String>,
}

impl Entry {
    fn new(entry: SessionEntry, fields: &[EntryField]) -> Self {
        let mut shown = Self::default();
        let heap = |heap: crate::app::HeapId| heap.to_string();
        for field in fields {
            match field {
                EntryField::Index => shown.index = Some(entry.index),
                EntryField::InputHeap => shown.input_heap = Some(entry.input_heap.map(heap)),
                EntryField::OutputHeap => shown.output_heap = Some(heap(entry.output_heap)),
                EntryField::Code => shown.code.clone_from(&entry.code),
                EntryField::Timestamp => shown.timestamp = Some(entry.timestamp.to_string()),
            }
        }
        shown
    }
}

impl Snapshots {
    /// These fields of a page of entries.
    pub fn new(page: EntriesPage, fields: &[EntryField]) -> Self {
        let entries = page.entries.into_iter();
        Self {
            entries: entries.map(|entry| Entry::new(entry, fields)).collect(),
            next_index: page.next_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::HeapId;

    fn arguments(fields: Option<&str>) -> SnapshotsArguments {
        SnapshotsArguments {
            session: "s".to_owned(),
            fields: fields.map(str::to_owned),
            from_index: None,
            limit: None,
        }
    }

    fn shown(list: Option<&str>) -> String {
        let (_, request, fields) = arguments(list).request().unwrap();
        let entry = SessionEntry {
            index: 3,
            input_heap: None,
            output_heap: HeapId::of(b""),
            code: request.with_code.then(|| "1".to_owned()),
            timestamp: jiff::Timestamp::UNIX_EPOCH,
        };
        serde_json::to_string(&Entry::new(entry, &fields)).unwrap()
    }

    #[test]
    fn an_entry_has_the_fields_that_were_asked_for() {
        let heap = HeapId::of(b"");
        let all = format!(
            r#"{{"index":3,"input_heap":null,"output_heap":"{heap}","code":"1","timestamp":"1970-01-01T00:00:00Z"}}"#
        );
        assert_eq!(shown(None), all);
        assert_eq!(
            shown(Some("timestamp, code,output_heap,input_heap , index,index")),
            all
        );
        assert_eq!(shown(Some("input_heap")), r#"{"input_heap":null}"#);
        assert_eq!(shown(Some(" code")), r#"{"code":"1"}"#);
    }

    #[test]
    fn code_is_read_only_where_it_is_wanted() {
        let wanted = |list| arguments(list).request().unwrap().1.with_code;
        assert!(wanted(None) && wanted(Some("code")) && !wanted(Some("index,output_heap")));
    }

    #[test]
    fn an_unknown_field_is_named_with_those_that_are() {
        for (list, named) in [
            ("heap", "\"heap\""),
            ("index,,code", "\"\""),
            ("Index", "\"Index\""),
        ] {
            let error = arguments(Some(list)).request().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "fields: {named} is not a field of an entry; fields: index, input_heap, \
                     output_heap, code, timestamp, separated by commas"
                )
            );
        }
        let bad_name = SnapshotsArguments {
            session: "a\nb".to_owned(),
            ..arguments(None)
        };
        let error = bad_name.request().unwrap_err().to_string();
        assert!(
            error.starts_with("session: a session is named by"),
            "{error}"
        );
    }
}
