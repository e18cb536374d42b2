//! What callers write on a heap to find it again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};

/// The key of a tag.
///
/// Where keys are listed in one text they stand between commas, with blanks around them: a key has
/// neither, so that whatever can be set can also be named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagKey(String);

impl TagKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the key of a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is not the key of a tag: a key has 1 to {TAG_KEY_CHARS_MAX} characters, no commas and \
     no control characters, and no blank at either end"
)]
pub struct MalformedTagKey {
    /// What was given, in quotes, cut when it is long.
    given: String,
}

impl FromStr for TagKey {
    type Err = MalformedTagKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let chars = text.chars().take(TAG_KEY_CHARS_MAX + 1).count();
        let fits = (1..=TAG_KEY_CHARS_MAX).contains(&chars)
            && !text.contains(|char: char| char == ',' || char.is_control())
            && text.trim() == text;
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedTagKey { given: shown(text) })
        }
    }
}

/// The tags of a heap: bounded in number and size. All tags of a query have to match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tags(BTreeMap<String, String>);

/// Texts that cannot be the tags of a heap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTags {
    /// Too many of them.
    #[error("there are {found} tags; at most {TAGS_MAX} are allowed")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A key is none.
    #[error(transparent)]
    Key(#[from] MalformedTagKey),
    /// A value is too long.
    #[error(
        "the value of the tag {key} has {found} characters; at most {TAG_VALUE_CHARS_MAX} are \
         allowed"
    )]
    LongValue {
        /// Whose.
        key: TagKey,
        /// How long it is.
        found: usize,
    },
}

impl Tags {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Key and value of each, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Their texts, in bytes.
    pub fn bytes(&self) -> usize {
        self.iter()
            .map(|(key, value)| key.len() + value.len())
            .sum()
    }

    /// As they are stored, which was checked when they were written.
    pub(super) fn stored(tags: BTreeMap<String, String>) -> Self {
        Self(tags)
    }
}

impl TryFrom<BTreeMap<String, String>> for Tags {
    type Error = MalformedTags;

    fn try_from(tags: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        if tags.len() > TAGS_MAX {
            return Err(MalformedTags::TooMany { found: tags.len() });
        }
        for (key, value) in &tags {
            let key: TagKey = key.parse()?;
            // Bytes bound characters from above: long texts are counted only when it matters.
            if value.len() > TAG_VALUE_CHARS_MAX {
                let found = value.chars().count();
                if found > TAG_VALUE_CHARS_MAX {
                    return Err(MalformedTags::LongValue { key, found });
                }
            }
        }
        Ok(Self(tags))
    }
}

impl From<Tags> for BTreeMap<String, String> {
    fn from(tags: Tags) -> Self {
        tags.0
    }
}

/// A text in quotes, cut when it is long.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Result<Tags, MalformedTags> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        Tags::try_from(pairs.collect::<BTreeMap<String, String>>())
    }

    #[test]
    fn what_is_bounded_is_bounded_in_characters() {
        let (key, value) = (
            "ü".repeat(TAG_KEY_CHARS_MAX),
            "ü".repeat(TAG_VALUE_CHARS_MAX),
        );
        let good = tags(&[(&key, &value), ("a b", ""), ("x", "line\nbreak")]).unwrap();
        assert_eq!(good.len(), 3);
        assert_eq!(good.iter().next(), Some(("a b", "")));
        let long_key = tags(&[(&format!("{key}x"), "")]).unwrap_err().to_string();
        assert!(
            long_key.contains("ü\"... is not the key of a tag"),
            "{long_key}"
        );
        let long_value = tags(&[("k", &format!("{value}x"))])
            .unwrap_err()
            .to_string();
        assert_eq!(
            long_value,
            "the value of the tag k has 1025 characters; at most 1024 are allowed"
        );
        let all: Vec<String> = (0..=TAGS_MAX).map(|number| number.to_string()).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|key| (key.as_str(), "")).collect();
        assert!(tags(&all[1..]).is_ok());
        let many = tags(&all).unwrap_err().to_string();
        assert_eq!(many, "there are 65 tags; at most 64 are allowed");
    }

    #[test]
    fn a_key_can_be_named_in_a_list_of_keys() {
        for bad in ["", " ", "a,b", " a", "a\t", "a\nb"] {
            let error = tags(&[(bad, "v")]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{bad:?} is not the key of a tag")),
                "{error}"
            );
        }
    }
}
