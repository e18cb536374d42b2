//! Heaps and their tags as clients see them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::argument::ArgumentError;
use super::request::{CURSOR_CHARS_MAX, ID_CHARS_MAX};
use crate::app::{self, HeapChoice, HeapId, HeapQuery, TagKey, TaggedHeap, Tags};
use crate::limits;

/// The word for the newest heap of a session.
const LATEST: &str = "latest";

/// The longest list of keys, in characters: as many as a heap can have, each as long as it can be.
pub const KEYS_CHARS_MAX: usize = limits::TAGS_MAX * (limits::TAG_KEY_CHARS_MAX + 2);

/// Tags as they are sent.
pub type TagMap = BTreeMap<String, String>;

/// The schema of tags: texts by name.
pub(super) fn tags(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": limits::TAG_VALUE_CHARS_MAX },
        "maxProperties": limits::TAGS_MAX,
    })
}

/// Which heap run_js is to start from.
pub(super) fn choice(text: &str) -> Result<HeapChoice, ArgumentError> {
    if text == LATEST {
        return Ok(HeapChoice::Latest);
    }
    let id = text.parse().map_err(ArgumentError::HeapChoice)?;
    Ok(HeapChoice::Id(id))
}

/// Read the tags of a heap.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTagsArguments {
    /// The heap: 64 hexadecimal digits.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub heap: String,
}

impl GetTagsArguments {
    /// Which heap is meant.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn heap(&self) -> Result<HeapId, ArgumentError> {
        Ok(self.heap.parse()?)
    }
}

/// Replace the tags of a heap.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTagsArguments {
    /// The heap: 64 hexadecimal digits.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub heap: String,
    /// All the tags that it has from now on: texts by key. An empty object deletes all.
    #[schemars(schema_with = "tags")]
    pub tags: TagMap,
}

impl SetTagsArguments {
    /// Which heap is meant, and its tags.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn change(self) -> Result<(HeapId, Tags), ArgumentError> {
        Ok((self.heap.parse()?, self.tags.try_into()?))
    }
}

/// Delete tags of a heap.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteTagsArguments {
    /// The heap: 64 hexadecimal digits.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub heap: String,
    /// The keys of the tags to delete, separated by commas. Default: all of them.
    #[schemars(with = "String", length(max = KEYS_CHARS_MAX))]
    #[serde(default)]
    pub keys: Option<String>,
}

impl DeleteTagsArguments {
    /// Which heap is meant, and which of its tags; `None` for all.
    ///
    /// # Errors
    /// [`ArgumentError`], also for an empty key: it must not be taken for all of them.
    pub fn change(&self) -> Result<(HeapId, Option<Vec<TagKey>>), ArgumentError> {
        let heap = self.heap.parse()?;
        let keys = self.keys.as_ref().map(|keys| {
            let keys = keys.split(',');
            keys.map(|key| key.trim().parse()).collect()
        });
        Ok((heap, keys.transpose()?))
    }
}

/// Find heaps by their tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryArguments {
    /// The tags that a heap has to have, key and value, all of them; one at least.
    #[schemars(schema_with = "tags")]
    pub tags: TagMap,
    /// How many. Default 1000. Fewer come where their tags are long.
    #[schemars(with = "u32", range(min = 1, max = limits::LIST_LENGTH_MAX))]
    #[serde(default)]
    pub limit: Option<u32>,
    /// The next_cursor of the page before. Default: the first page.
    #[schemars(with = "String", length(max = CURSOR_CHARS_MAX))]
    #[serde(default)]
    pub cursor: Option<String>,
}

impl TryFrom<QueryArguments> for HeapQuery {
    type Error = ArgumentError;

    fn try_from(arguments: QueryArguments) -> Result<Self, Self::Error> {
        Ok(Self {
            tags: arguments.tags.try_into()?,
            limit: arguments.limit.unwrap_or(limits::LIST_LENGTH_MAX),
            cursor: arguments.cursor,
        })
    }
}

/// The tags of a heap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeapTags {
    /// Texts by key.
    pub tags: TagMap,
}

impl From<Tags> for HeapTags {
    fn from(tags: Tags) -> Self {
        Self { tags: tags.into() }
    }
}

/// Heaps that were found, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeapList {
    /// The heaps, the newest first.
    pub results: Vec<FoundHeap>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// A heap that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundHeap {
    /// The heap: give it to run_js as heap to go on from there.
    pub heap: String,
    /// All its tags: texts by key.
    pub tags: TagMap,
}

impl From<TaggedHeap> for FoundHeap {
    fn from(found: TaggedHeap) -> Self {
        Self {
            heap: found.heap.to_string(),
            tags: found.tags.into(),
        }
    }
}

impl From<app::HeapList> for HeapList {
    fn from(list: app::HeapList) -> Self {
        Self {
            results: list.heaps.into_iter().map(Into::into).collect(),
            next_cursor: list.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_is_chosen_by_name_or_as_the_latest() {
        let id = HeapId::of(b"");
        assert_eq!(choice(&id.to_string()), Ok(HeapChoice::Id(id)));
        assert_eq!(choice("latest"), Ok(HeapChoice::Latest));
        for bad in ["", "Latest", "abc", &id.to_string().to_uppercase()] {
            let error = choice(bad).unwrap_err().to_string();
            assert_eq!(
                error,
                "heap: a heap is named by 64 hexadecimal digits in lower case; use the heap that \
                 get_execution returned, or \"latest\" together with session"
            );
        }
    }

    #[test]
    fn keys_stand_between_commas_and_none_is_empty() {
        let change = |keys: Option<&str>| {
            let arguments = DeleteTagsArguments {
                heap: HeapId::of(b"").to_string(),
                keys: keys.map(str::to_owned),
            };
            let (_, keys) = arguments.change().map_err(|error| error.to_string())?;
            Ok::<_, String>(keys.map(|keys| keys.iter().map(TagKey::to_string).collect::<Vec<_>>()))
        };
        assert_eq!(change(None), Ok(None));
        let keys = ["a", "b c", "d"].map(str::to_owned).to_vec();
        assert_eq!(change(Some(" a,b c ,d")), Ok(Some(keys)));
        for bad in ["", " ", "a,", ",a", "a,,b"] {
            let error = change(Some(bad)).unwrap_err();
            assert!(
                error.starts_with("keys: \"\" is not the key of a tag"),
                "{error}"
            );
        }
    }
}
